package track

import (
	"cmp"
	"math"
	"slices"
)

// What a record cannot show of its clock is part of what is stated. A clock
// that wanders by less than its slices scatter looks as one that keeps to a
// line, so the clock is taken for all that it may be at once, each by how likely
// the slices make it: of many noises, and for a line with a slow sine.

// belief is one way the clock may move, and how much it is believed: all
// weights add up to 1.
type belief struct {
	clock
	weight float64
}

// clock is what is known of the clock at any time, if it moves in one way.
type clock interface {
	noisy(time int64) state
}

const (
	// A clock noisier than an oven-controlled quartz, of 8e-12 at 1 s and as
	// much of a walk, is believed only where its slices show it: in proportion.
	oven = 60.0 // ps^2/s, ps^2/s^3
	// A shorter record hides more: the noise that moves a clock by as much of what its
	// pairs tell grows as the square of how much shorter it is.
	short = 11.0 // s: shorter records are
	// A clock of more noise than this shows what it is, but for a factor of ten.
	loud = 1000.0 // ps^2/s, ps^2/s^3
	// That there is none of a noise is as likely as each level of it. Of fewer slices
	// noises from lively on count for more, and none for as much, up to mostFew times:
	// clocks that have them are common, and so few slices hardly show them.
	usualSlices = 256.0
	mostFew     = 4.0
	shortest    = 12.0 // s: in which a clock may wander enough for that
	longEnough  = 19.0 // s: for all of it
	// In records of up to 3 s a clock that is not loud is believed to have no time to
	// wander, and none of a noise counts for more.
	usualLength = 16.0   // s
	brief       = 3.0    // s
	notBrief    = 4.0    // s
	lively      = 10.0   // ps^2/s, ps^2/s^3
	held        = 0.9973 // what three deviations of a normal variable hold, and of what few slices say
	swaying     = 0.2    // all sines together, beside all noises, before anything is known
	unlikely    = 0.01   // beside the most likely way: is left out

	contradiction = 20.0 // times as likely as a line: then a clock does not keep to one
)

// quietest and calmest are noises of quiet clocks, from what no record shows; unseen are
// more of white frequency noise, which short records do not show either.
var (
	quietest = []float64{0, 1, 3, 10, 30, 100, 300, 1000, 3000} // ps^2/s
	unseen   = append(quietest[:len(quietest):len(quietest)], 10_000, 30_000)
	calmest  = []float64{0, 0.01, 0.1, 1, 10, 100, 1000, 10_000} // ps^2/s^3
)

// way is one way in which the clock may move, and how likely the slices make it.
type way struct {
	noise
	sway  *sway
	prior float64 // how much it is believed before anything is known
	ll    float64
}

// believe finds the ways in which the clock may move, of a path that was
// smoothed under its most likely noise. Where the clock jumps, or its slices are
// many or but one, that noise is all; and there is none of a syntonized clock whose
// slices do not contradict that it keeps to a line.
func (p *path) believe(syntonized bool) {
	p.beliefs = nil
	if len(p.slices) > manySlices || len(p.leaps) > 0 || !(p.length() > 0) {
		return
	}
	ways := p.ways()
	if syntonized && !contradicted(ways) {
		p.noise = noise{}
		p.smooth()
		return
	}
	sum, best := 0.0, slices.MaxFunc(ways, func(a, b way) int { return cmp.Compare(a.believed(), b.believed()) }).believed()
	for _, w := range ways {
		weight := math.Exp(w.believed() - best)
		if weight < unlikely {
			continue
		}
		sum += weight
		if w.sway != nil {
			p.beliefs = append(p.beliefs, belief{w.sway, weight})
			continue
		}
		under := &path{slices: p.slices, noise: w.noise}
		under.smooth()
		p.beliefs = append(p.beliefs, belief{under, weight})
	}
	for i := range p.beliefs {
		p.beliefs[i].weight /= sum
	}
	for i := range p.slices {
		p.all[i] = p.mixed(p.slices[i].at)
	}
}

// ways are all ways in which the clock may move. The first is a line.
func (p *path) ways() (ways []way) {
	all, few, common, quiet := 0.0, p.few(), p.common(), quietest
	none := few * math.Pow(max(1, usualLength/p.length(), usualSlices/float64(len(p.slices))), 1-p.lasting())
	if l := p.length(); l > brief && l < short {
		quiet = unseen
	}
	for _, qx := range believable(p.noise.qx, quiet) {
		for _, qy := range believable(p.noise.qy, calmest) {
			prior := before(qx, none, few, common) * before(qy, none, few, common)
			all += prior
			ways = append(ways, way{noise{qx, qy}, nil, prior, p.likelihood(noise{qx, qy})})
		}
	}
	sways, line := p.sways(), ways[0].ll
	for _, s := range sways {
		ways = append(ways, way{noise{}, s, swaying * all / float64(len(sways)), line + s.gain})
	}
	return ways
}

// believed is how likely the way is, with what was believed before.
func (w way) believed() float64 { return w.ll + math.Log(w.prior) }

// contradicted says whether the slices speak against a line, the first of the ways: by
// the Bayes factor of all others together.
func contradicted(ways []way) bool {
	var others, prior float64
	for _, w := range ways[1:] {
		others += w.prior * math.Exp(w.ll-ways[0].ll)
		prior += w.prior
	}
	return !(others < contradiction*prior)
}

// few is how much more noises are believed that few slices hide: from 1 to mostFew, and 1
// in short records.
func (p *path) few() float64 { return 1 + p.long()*(mostFew-1)*p.hides() }

// hides is how far slices are too few to show noise: from 0 to 1.
func (p *path) hides() float64 {
	return (min(mostFew, max(1, usualSlices/float64(len(p.slices)))) - 1) / (mostFew - 1)
}

// long is how far the record is long enough for a clock to wander: from 0 to 1.
func (p *path) long() float64 { return min(1, max(0, (p.length()-shortest)/(longEnough-shortest))) }

// lasting is how far the record is too long to be a brief one: from 0 to 1.
func (p *path) lasting() float64 { return min(1, max(0, (p.length()-brief)/(notBrief-brief))) }

// common is the noise up to which each level is believed alike.
func (p *path) common() float64 {
	return oven * math.Pow(max(1, short/p.length()), 2*p.lasting())
}

// before is how much a noise is believed before anything is known.
func before(q, none, few, common float64) float64 {
	switch {
	case q == 0:
		return none
	case q < lively:
		return 1
	}
	return few * min(1, few*common/q)
}

// believable are the noises that may be, when q is likely.
func believable(q float64, quiet []float64) []float64 {
	if q <= loud {
		return quiet
	}
	return append([]float64{0}, around(q, nil)...)
}

// mixed is the clock at a time over all that it may be: the mean, and the
// variance within and between.
func (p *path) mixed(time int64) (m state) {
	each := make([]state, len(p.beliefs))
	for i, b := range p.beliefs {
		s := b.noisy(time)
		m.x, m.y = m.x+b.weight*s.x, m.y+b.weight*s.y
		each[i] = s
	}
	for i, b := range p.beliefs {
		w, s, dx, dy := b.weight, each[i], each[i].x-m.x, each[i].y-m.y
		m.xx, m.xy, m.yy = m.xx+w*(s.xx+dx*dx), m.xy+w*(s.xy+dx*dy), m.yy+w*(s.yy+dy*dy)
	}
	wider := p.tails(m, each)
	m.xx, m.xy, m.yy = wider*m.xx, wider*m.xy, wider*m.yy
	return m
}

// tails is how many times the variance of the mean must be larger for three deviations
// to hold as much as they do of a normal variable. A quiet clock that may be a noisy one
// has tails, of which the variance alone tells too little. Of as many slices as usual
// they are left out: there noise shows.
func (p *path) tails(m state, each []state) float64 {
	share := p.hides() * p.lasting()
	low, high := 3*math.Sqrt(m.xx), 6*math.Sqrt(m.xx)
	inside := func(reach float64) (part float64) {
		for i, b := range p.beliefs {
			off, scale := each[i].x-m.x, math.Sqrt(2*each[i].xx)
			part += b.weight / 2 * (math.Erf((reach-off)/scale) + math.Erf((reach+off)/scale))
		}
		return part
	}
	if share == 0 || !(inside(low) < held) {
		return 1
	}
	for range 12 {
		if middle := (low + high) / 2; inside(middle) < held {
			low = middle
		} else {
			high = middle
		}
	}
	return 1 + share*(high*high/(9*m.xx)-1)
}

// sway is a clock on a line with a sine of a known period: with temperature,
// with a loop that controls it, with whoever comes and goes. Both are fitted to
// the slices by least squares.
type sway struct {
	gain          float64 // log likelihood beyond that of the line alone
	speed         float64 // rad/s
	middle        float64 // s: mean time of the slices by their weights
	line          [2]float64
	level, slope  float64 // variances of the line
	cosine, sine  wave
	amplitude     [2]float64 // ps, of both
	vcc, vcs, vss float64
}

// wave is a cosine or sine beside the line that fits it best.
type wave struct{ level, slope float64 }

const (
	usualSway = 5.0 // ps: typical amplitude
	// A sine of fewer half periods in the record is like a random walk.
	fewestHalves = 5
	mostHalves   = 256
	fastestSway  = 2.0 // s: shortest period
	leastInSway  = 8   // slices in a period
)

// weights are sums over slices: by their weights, and those about their mean time.
type weights struct{ all, middle, squares float64 }

func (p *path) weights() (w weights) {
	for i := range p.slices {
		s := &p.slices[i]
		w.all += 1 / s.v
		w.middle += s.t / s.v
	}
	w.middle /= w.all
	for i := range p.slices {
		s := &p.slices[i]
		w.squares += squared(s.t-w.middle) / s.v
	}
	return w
}

// length is the time from the first slice to the last, in s.
func (p *path) length() float64 { return p.slices[len(p.slices)-1].t - p.slices[0].t }

// sways are lines with sines of all periods that the record can tell apart.
func (p *path) sways() []*sway {
	n, length := len(p.slices), p.length()
	if !(length > 0) {
		return nil
	}
	w := p.weights()
	var level, slope float64
	for i := range p.slices {
		s := &p.slices[i]
		level += s.x / s.v / w.all
		slope += s.x * (s.t - w.middle) / s.v / w.squares
	}
	var all []*sway
	for k := fewestHalves; k <= min(mostHalves, 2*n/leastInSway, int(2*length/fastestSway)); k++ {
		s := &sway{speed: math.Pi * float64(k) / length, middle: w.middle, line: [2]float64{level, slope}, level: 1 / w.all, slope: 1 / w.squares}
		s.fit(p, w)
		all = append(all, s)
	}
	return all
}

// fit finds the sine, of which before only usualSway is known.
func (s *sway) fit(p *path, w weights) {
	for i := range p.slices {
		q := &p.slices[i]
		t := q.t - w.middle
		sin, cos := math.Sincos(s.speed * t)
		s.cosine.level += cos / q.v / w.all
		s.cosine.slope += cos * t / q.v / w.squares
		s.sine.level += sin / q.v / w.all
		s.sine.slope += sin * t / q.v / w.squares
	}
	var cc, cs, ss, c, n float64
	for i := range p.slices {
		q := &p.slices[i]
		t := q.t - w.middle
		cos, sin := s.waves(t)
		x := q.x - s.line[0] - s.line[1]*t
		cc += cos * cos / q.v
		cs += cos * sin / q.v
		ss += sin * sin / q.v
		c += cos * x / q.v
		n += sin * x / q.v
	}
	const before = 1 / (usualSway * usualSway)
	det := (cc+before)*(ss+before) - cs*cs
	s.vcc, s.vss, s.vcs = (ss+before)/det, (cc+before)/det, -cs/det
	s.amplitude = [2]float64{s.vcc*c + s.vcs*n, s.vcs*c + s.vss*n}
	s.gain = (c*s.amplitude[0]+n*s.amplitude[1])/2 - math.Log(det/(before*before))/2
}

// waves are cosine and sine, each beside its line.
func (s *sway) waves(t float64) (cos, sin float64) {
	sin, cos = math.Sincos(s.speed * t)
	return cos - s.cosine.level - s.cosine.slope*t, sin - s.sine.level - s.sine.slope*t
}

// noisy is the clock at a time.
func (s *sway) noisy(time int64) state {
	t := float64(time)/second - s.middle
	cos, sin := s.waves(t)
	dsin, dcos := math.Sincos(s.speed * t)
	fallC, fallS := -s.speed*dsin-s.cosine.slope, s.speed*dcos-s.sine.slope
	c, n := s.amplitude[0], s.amplitude[1]
	between := func(a, b, d, e float64) float64 { return a*d*s.vcc + (a*e+b*d)*s.vcs + b*e*s.vss }
	return state{
		x: s.line[0] + s.line[1]*t + c*cos + n*sin, y: s.line[1] + c*fallC + n*fallS,
		xx: s.level + t*t*s.slope + between(cos, sin, cos, sin),
		xy: t*s.slope + between(cos, sin, fallC, fallS), yy: s.slope + between(fallC, fallS, fallC, fallS),
	}
}
