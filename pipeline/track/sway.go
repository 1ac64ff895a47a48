package track

import "math"

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
	mostHalves   = 64
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
