package align

import (
	"fmt"
	"math"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/quantity"
)

const (
	maxFitPoints = 1 << 22 // pairs that are fitted; of more, an even part is taken
	fitReach     = 20.0    // standard deviations of jitter about the line that are fitted
	sureties     = 5.0     // standard deviations that count as certain
	wander       = 5e-11   // slope a quiet clock may change by between segments
)

// recentred returns the same line with its Reference elsewhere.
func (l line) recentred(reference uint64) line {
	l.ux += l.uy * math.Abs(float64(int64(reference-l.Reference)))
	l.Line = correlate.Line{Reference: reference, Offset: l.OffsetAt(reference), Frequency: l.Frequency}
	return l
}

// extend follows a line from its segment to the whole record, four times as
// far each time, so that it is never carried further than it is known.
func (s *searcher) extend(l line) (line, error) {
	if err := s.overlap(l.Line); err != nil {
		return l, err
	}
	if l.bin > 2*maxJitter {
		return l, tooBroad(l.bin)
	}
	all := int64(s.to - s.from)
	l.sigma = l.bin
	for length := min(l.length, all); ; length = min(4*length, all) {
		from, to := s.segment(l.Reference, length)
		l = l.recentred(from + (to-from)/2)
		l.length = length
		half := max(fitReach/2*l.sigma, 4000) + l.ux + (l.uy+wander)*float64(length)/2
		points, _ := s.collect(l.Line, length, half, maxFitPoints)
		if half > fitReach*l.sigma {
			points = s.narrow(&l, points)
			half = max(fitReach/2*l.sigma, 4000) + l.ux
		}
		f, ok := fitLine(points, half, 1.5*l.sigma, float64(length)/2, false)
		if !ok {
			return l, &Refusal{Code: "not-straight",
				Reason: fmt.Sprintf("the pairs of %.3g s are on a line that is lost within %.3g s", float64(length)/4e12, float64(length)/1e12),
				Hint:   "the clocks wander or step; align shorter parts of the record"}
		}
		l.Line = moved(l.Line, f.x, f.y)
		l.sigma = f.sigma
		l.ux, l.uy = 1+sureties*math.Sqrt(f.vx), 1e-15+sureties*math.Sqrt(f.vy)
		if length == all {
			return l, nil
		}
	}
}

// tooBroad refuses a peak that is no peak of pairs.
func tooBroad(width float64) error {
	return &Refusal{Code: "too-broad",
		Reason: fmt.Sprintf("the light of A and B varies together, but within %.3g ns: no peak of pairs", width/1e3),
		Hint:   "check that the source makes pairs and that its light does not flicker"}
}

// narrow finds by counting where on a wide strip the line is, moves it there,
// and returns the points about it.
func (s *searcher) narrow(l *line, points []point) []point {
	length := float64(l.length)
	bin := houghBin(l.ux, l.uy+wander, length, 2*l.sigma)
	p := hough(sample(points, maxPoints/4), l.ux, l.uy+wander, length, bin)
	l.Line = moved(l.Line, p.x, p.y)
	l.ux, l.uy = 2*bin, 4*bin/length
	half := max(fitReach/2*l.sigma, 4000) + l.ux
	var near []point
	for _, q := range points {
		if d := q.d - p.x - p.y*q.t; math.Abs(d) <= half {
			near = append(near, point{q.t, d})
		}
	}
	return near
}

// sample returns every n-th point, so many that about most remain.
func sample(points []point, most int) []point {
	stride := len(points)/most + 1
	if stride == 1 {
		return points
	}
	kept := make([]point, 0, most+1)
	for i := 0; i < len(points); i += stride {
		kept = append(kept, points[i])
	}
	return kept
}

// overlap sets the limits of the search to the time that both recorded.
func (s *searcher) overlap(c correlate.Line) error {
	zero := s.a[0]
	began, ended := int64(c.Apply(s.b[0])-zero), int64(c.Apply(s.b[len(s.b)-1])-zero)
	from, to := max(0, began), min(int64(s.a[len(s.a)-1]-zero), ended)
	if to-from < minOverlap {
		return &Refusal{Code: "no-overlap",
			Reason: fmt.Sprintf("with this offset the records have only %.3g ms in common", float64(max(to-from, 0))/1e9),
			Hint:   "they need 10 ms; measure longer, or start both nodes together"}
	}
	s.from, s.to = zero+uint64(from), zero+uint64(to)
	return nil
}

// conclude fits the line to the whole record, judges it, and says what it is.
func (s *searcher) conclude(l line) (Alignment, error) {
	if err := s.overlap(l.Line); err != nil {
		return Alignment{}, err
	}
	all := int64(s.to - s.from)
	l = l.recentred(s.from + uint64(all)/2)
	l.length = all
	var points []point
	var f fit
	var stride int
	var half float64
	for round := range 2 { // the second time about the line that the first one found
		if round > 0 {
			l.Line, l.sigma = moved(l.Line, f.x, f.y), f.sigma
		}
		half = fitReach * max(l.sigma, 5)
		points, stride = s.collect(l.Line, all, half, maxFitPoints)
		var ok bool
		if f, ok = fitLine(points, half, l.sigma, float64(all)/2, false); !ok {
			return Alignment{}, errLost
		}
	}
	r := s.report(l, f, stride)
	straighten(&r, points, f, half, float64(all))
	chance := max(f.density*6*f.sigma, s.chance(6*f.sigma)/float64(stride))
	count := 0.0
	for _, p := range points {
		if math.Abs(p.d-f.x-f.y*p.t) <= 3*f.sigma {
			count++
		}
	}
	r.Accidentals = chance * float64(stride)
	// Places where a line of this width could have been found by chance.
	places := (1 + float64(s.reach)/f.sigma) * (1 + float64(s.MaxDrift)/driftUnit*float64(all)/f.sigma)
	ll := surprise(count, chance) - math.Log(places+s.trials)
	r.Significance = math.Sqrt(2 * max(ll, 0))
	if err := s.judge(r, ll); err != nil {
		return r, err
	}
	return r, s.alone(&r, moved(l.Line, f.x, f.y), f.sigma)
}

var errLost = &Refusal{Code: "not-straight",
	Reason: "the pairs of the middle are on a line that the rest of the record is not on",
	Hint:   "the clocks wander or step; align shorter parts of the record"}

// chance is how many accidental pairs a window of the given width holds.
func (s *searcher) chance(width float64) float64 {
	inside := within(s.a, s.from, s.to)
	return float64(len(inside)) * width * s.rateB()
}

// report turns the correction and what a fit about it found into numbers.
func (s *searcher) report(l line, f fit, stride int) Alignment {
	slope := float64(l.Frequency) / driftUnit
	at := func(t uint64) (offset quantity.Fine, sd float64) {
		elapsed := float64(int64(t - l.Reference))
		x, sd := f.at(elapsed)
		return quantity.NewFine(l.Offset, slope*elapsed+(1+slope)*x), sd
	}
	r := Alignment{Reference: l.Reference, Start: s.from, Overlap: int64(s.to - s.from), Jitter: f.sigma}
	r.Offset, r.OffsetSD = at(l.Reference)
	r.StartOffset, r.StartSD = at(s.from)
	r.Frequency = (slope + f.y + slope*f.y) * 1e9
	r.FrequencySD = math.Sqrt(f.vy) * 1e9
	r.Pairs = int64(math.Round(f.n * float64(stride)))
	return r
}

// judge refuses what is not certain or contradicts what was known before.
func (s *searcher) judge(r Alignment, ll float64) error {
	drift := float64(s.MaxDrift) / 1e6 // ppb
	switch {
	case ll < convincedLL:
		return &Refusal{Code: "not-significant",
			Reason: fmt.Sprintf("the best line, at %.6g us, has %d pairs where chance gives %.3g", r.Offset.Float()/1e6, r.Pairs, r.Accidentals),
			Hint:   "measure longer, or with more pairs or less background"}
	case r.Jitter > maxJitter:
		return tooBroad(r.Jitter)
	case r.LostSlices > r.Slices/2:
		return errLost
	case math.Abs(r.StartOffset.Float()) > float64(s.Search)+sureties*r.StartSD:
		return &Refusal{Code: "outside-search",
			Reason: fmt.Sprintf("the best offset, %.9g us, is beyond the search of %.6g us", r.StartOffset.Float()/1e6, float64(s.Search)/1e6),
			Hint:   "search wider if the clocks may be that far apart"}
	case math.Abs(r.Frequency) > drift+sureties*r.FrequencySD:
		return &Refusal{Code: "outside-drift",
			Reason: fmt.Sprintf("the best frequency, %.6g ppb, is beyond the %.6g ppb that were allowed", r.Frequency, drift),
			Hint:   "allow more drift if the clocks may be that different"}
	}
	return nil
}
