package align

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/track"
)

// joined makes one clock of those of the parts.
func joined(found []Alignment, refused []track.Gap) (Parts, error) {
	c := Parts{Alignment: found[len(found)/2], Count: len(found) + len(refused)}
	if c.Count == 1 {
		return c, nil
	}
	first, last := found[0], found[len(found)-1]
	c.Refused = notFound(found, refused)
	c.Start, c.StartOffset, c.StartSD = first.Start, first.StartOffset, first.StartSD
	c.Overlap = int64(end(last) - first.Start)
	c.Pairs, c.Accidentals = 0, 0
	t := track.Track{}
	if c.Track != nil { // what is not of the whole is of the part in the middle
		t = *c.Track
		t.Knots, t.Steps, t.Gaps, t.Pairs, t.Accidentals = nil, nil, nil, 0, 0
	}
	c.Track = &t
	var lines []correlate.Line
	for i, part := range found {
		own := ownTime(found, i)
		if i > 0 {
			t.Steps = append(t.Steps, disagreement(found[i-1], part, own.From)...)
		}
		lines = appendLines(lines, part.Correction().Lines(), own.From)
		c.addPart(part, own)
	}
	t.Gaps = inOrder(append(t.Gaps, c.Refused...))
	return c, c.conclude(lines)
}

// conclude makes one track of the knots of all parts.
func (c *Parts) conclude(lines []correlate.Line) (err error) {
	knots := c.Track.Knots
	if c.Wanders = len(knots) > 0; c.Wanders { // who reads the result follows its knots
		first, last := knots[0].Time, knots[len(knots)-1].Time
		before := first
		c.Track.Steps = slices.DeleteFunc(c.Track.Steps, func(s track.Step) bool {
			beside := int64(s.Time-before) <= 0 || int64(last-s.Time) <= 0
			if !beside {
				before = s.Time
			}
			return beside
		})
		if c.Track, err = track.Through(*c.Track); err != nil {
			return err
		}
	}
	c.Warning = fmt.Sprintf("the record was aligned in %d parts; line, noise, Allan deviation and self-check are of the one in the middle", c.Count)
	if len(c.Refused) > 0 {
		c.Warning = unfound(c.Refused) + c.Warning
	}
	if n := len(c.Track.Steps); n > 0 {
		c.Warning = fmt.Sprintf("%s; %s", jumps(c.Track.Steps), c.Warning)
	}
	c.lines, err = correlate.NewCorrection(lines...)
	return err
}

// unfound says for how long the clock is unknown.
func unfound(gaps []track.Gap) string {
	unknown := 0.0
	for _, g := range gaps {
		unknown += float64(int64(g.To-g.From)) * 1e-12
	}
	return fmt.Sprintf("the clock was not found in %.4g s of the record; ", unknown)
}

// notFound is what the refused parts have beyond those in which the clock was
// found, as stretches that do not overlap.
func notFound(found []Alignment, refused []track.Gap) (left []track.Gap) {
	for _, g := range refused {
		for _, part := range found { // in order of time
			if int64(part.Start-g.To) >= 0 || int64(end(part)-g.From) <= 0 {
				continue
			}
			if int64(part.Start-g.From) > 0 {
				left = append(left, track.Gap{From: g.From, To: part.Start, NotFound: true})
			}
			g.From = end(part)
		}
		if int64(g.To-g.From) > 0 {
			left = append(left, g)
		}
	}
	return inOrder(left)
}

// inOrder sorts gaps and joins those that touch each other and are alike.
func inOrder(gaps []track.Gap) (joined []track.Gap) {
	slices.SortStableFunc(gaps, func(x, y track.Gap) int { return cmp.Compare(int64(x.From-y.From), 0) })
	for _, g := range gaps {
		n := len(joined)
		if n > 0 && int64(g.From-joined[n-1].To) <= 0 && g.NotFound == joined[n-1].NotFound {
			if int64(g.To-joined[n-1].To) > 0 {
				joined[n-1].To = g.To
			}
			continue
		}
		joined = append(joined, g)
	}
	return joined
}

func end(a Alignment) uint64 { return a.Start + uint64(a.Overlap) }

// meeting is where one part ends to count and the next begins: in the middle of
// what they share, because a track is best known away from its ends.
func meeting(before, after Alignment) uint64 {
	if shared := int64(end(before) - after.Start); shared > 0 {
		return after.Start + uint64(shared)/2
	}
	return after.Start
}

// ownTime is the time of which a part tells the clock: up to where it meets the
// parts beside it.
func ownTime(found []Alignment, i int) track.Gap {
	own := track.Gap{From: found[i].Start, To: end(found[i])}
	if i > 0 {
		own.From = meeting(found[i-1], found[i])
	}
	if i+1 < len(found) {
		own.To = meeting(found[i], found[i+1])
	}
	return own
}

// share is how much of a part its own time is.
func (r Alignment) share(own track.Gap) float64 {
	return min(float64(int64(own.To-max(own.From, r.Start)))/float64(r.Overlap), 1)
}

// addPart adds to the whole what a part shows of its own time.
func (c *Parts) addPart(part Alignment, own track.Gap) {
	from, to, share := own.From, own.To, part.share(own)
	c.Pairs += int64(math.Round(share * float64(part.Pairs)))
	c.Accidentals += share * part.Accidentals
	if part.Track == nil {
		return
	}
	t := c.Track
	t.Pairs += share * part.Track.Pairs
	t.Accidentals += share * part.Track.Accidentals
	within := func(at uint64) bool { return int64(at-from) >= 0 && int64(at-to) < 0 }
	for _, k := range part.Track.Knots {
		if within(k.Time) {
			t.Knots = append(t.Knots, k)
		}
	}
	for _, s := range part.Track.Steps {
		if within(s.Time) {
			t.Steps = append(t.Steps, s)
		}
	}
	for _, g := range part.Track.Gaps {
		if int64(g.From-from) < 0 {
			g.From = from
		}
		for _, limit := range []uint64{to, end(part)} {
			if int64(g.To-limit) > 0 {
				g.To = limit
			}
		}
		if int64(g.To-g.From) > 0 {
			t.Gaps = append(t.Gaps, g)
		}
	}
}

// appendLines goes on with the lines of a part from a time on. Lines of the part
// before that begin no earlier, on either clock, are not needed any more.
func appendLines(lines, next []correlate.Line, from uint64) []correlate.Line {
	for i, l := range next {
		if i+1 < len(next) && int64(next[i+1].Reference-from) <= 0 {
			continue // another one holds by then
		}
		if int64(l.Reference-from) < 0 || len(next) == 1 {
			l = correlate.Line{Reference: from, Offset: l.OffsetAt(from), Frequency: l.Frequency}
		}
		for n := len(lines); n > 0; n = len(lines) {
			apart := int64(l.Reference - lines[n-1].Reference)
			if apart > 0 && apart+l.Offset-lines[n-1].Offset > 0 {
				break
			}
			lines = lines[:n-1]
		}
		lines = append(lines, l)
	}
	return lines
}

// disagreement is the jump between two parts where they meet; none where both
// tell the same.
func disagreement(before, after Alignment, at uint64) []track.Step {
	x, sdX := before.OffsetAt(at)
	y, sdY := after.OffsetAt(at)
	change, sd := y.Minus(x), math.Hypot(math.Hypot(sdX, sdY), 1)
	if math.Abs(change) <= jumpSDs*sd {
		return nil
	}
	between := int64(after.Start - end(before)) // unknown when, where the parts do not overlap
	if between > 0 {
		at = end(before) + uint64(between)/2
	}
	return []track.Step{{Time: at, TimeSD: math.Abs(float64(between)) / math.Sqrt(12), Offset: change, OffsetSD: sd}}
}
