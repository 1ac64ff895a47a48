package track

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func near(a, b, part float64) bool { return math.Abs(a-b) <= part*(math.Abs(a)+math.Abs(b))+1e-9 }

func drawState(t *rapid.T) (state, noise) {
	v := rapid.Float64Range(0.1, 100)
	s := state{x: v.Draw(t, "x"), y: v.Draw(t, "y"), xx: v.Draw(t, "xx"), yy: v.Draw(t, "yy")}
	s.xy = rapid.Float64Range(-0.9, 0.9).Draw(t, "correlation") * math.Sqrt(s.xx*s.yy)
	return s, noise{v.Draw(t, "qx"), v.Draw(t, "qy")}
}

// TestTimeAdds: two steps of time are one of both.
func TestTimeAdds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, q := drawState(t)
		one, two := rapid.Float64Range(0, 5).Draw(t, "one"), rapid.Float64Range(0, 5).Draw(t, "two")
		a, b := s.after(one, q).after(two, q), s.after(one+two, q)
		if !near(a.x, b.x, 1e-9) || !near(a.xx, b.xx, 1e-9) || !near(a.xy, b.xy, 1e-9) || !near(a.yy, b.yy, 1e-9) {
			t.Fatalf("%+v and %+v", a, b)
		}
	})
}

// TestSmootherIsExact compares with solving for all states at once: the mean
// and covariance of a Gaussian, given all measurements.
func TestSmootherIsExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	times := []float64{0, 0.3, 0.5, 2.5, 2.6, 4}
	q := noise{30, 20}
	p := &path{noise: q}
	for _, at := range times {
		p.slices = append(p.slices, slice{at: int64(at * second), t: at, x: rng.NormFloat64() * 20, v: 4 + 10*rng.Float64()})
	}
	for _, leaps := range [][]leap{nil, {{before: 3, at: 1e12}}} {
		p.leaps = leaps
		p.smooth()
		first := p.begin(0, 1)
		mean, covariance := dense(p, first)
		for i, s := range p.all {
			if !near(s.x, mean[2*i], 1e-6) || !near(s.y, mean[2*i+1], 1e-6) || !near(s.xx, covariance[2*i][2*i], 1e-6) || !near(s.yy, covariance[2*i+1][2*i+1], 1e-6) {
				t.Errorf("%d leaps, slice %d: %+v, should be %.6f %.6f, variances %.6f %.6f", len(leaps), i, s, mean[2*i], mean[2*i+1], covariance[2*i][2*i], covariance[2*i+1][2*i+1])
			}
		}
		// Between slices: as at a slice that measures nothing.
		for _, at := range []float64{0.4, 0.9, 1.2, 3.3} {
			more := *p
			i := p.after(int64(at * second))
			more.slices = append(append(append([]slice(nil), p.slices[:i]...), slice{at: int64(at * second), t: at, v: 1e12}), p.slices[i:]...)
			more.leaps = nil
			for _, l := range leaps {
				if l.before > i || l.before == i && at*second < float64(l.at) {
					l.before++
				}
				more.leaps = append(more.leaps, l)
			}
			if len(leaps) > 0 && i == leaps[0].before && at*second > float64(leaps[0].at) {
				continue // after a jump nothing else says where the phase is
			}
			mean, covariance := dense(&more, first)
			s := p.at(int64(at * second))
			if !near(s.x, mean[2*i], 1e-5) || !near(s.xx, covariance[2*i][2*i], 1e-5) {
				t.Errorf("%d leaps, at %.1f s: %.6f, variance %.6f, should be %.6f, %.6f", len(leaps), at, s.x, s.xx, mean[2*i], covariance[2*i][2*i])
			}
		}
	}
}

// dense solves for all states of a path at once, by the information matrix.
func dense(p *path, first state) (mean []float64, covariance [][]float64) {
	n := 2 * len(p.slices)
	info := make([][]float64, n)
	for i := range info {
		info[i] = make([]float64, n+1) // the last column is the right-hand side
	}
	// Nothing but the first slice's own measurement is known of the first phase.
	info[1][1] += 1 / first.yy
	info[1][n] += first.y / first.yy
	next := 0
	for i, s := range p.slices {
		info[2*i][2*i] += 1 / s.v
		info[2*i][n] += s.x / s.v
		if i == 0 {
			continue
		}
		dt := s.t - p.slices[i-1].t
		w := state{}.after(dt, p.noise)
		if p.kindAt(i, &next) != steadily {
			w.xx += 1e13
		}
		det := w.xx*w.yy - w.xy*w.xy
		inverse := [2][2]float64{{w.yy / det, -w.xy / det}, {-w.xy / det, w.xx / det}}
		// the residuals x' - x - dt*y and y' - y, of the states 2i-2 ... 2i+1
		rows := [2][4]float64{{-1, -dt, 1, 0}, {0, -1, 0, 1}}
		for a := range 4 {
			for b := range 4 {
				for k := range 2 {
					for l := range 2 {
						info[2*i-2+a][2*i-2+b] += rows[k][a] * inverse[k][l] * rows[l][b]
					}
				}
			}
		}
	}
	return solve(info)
}

// solve inverts a positive matrix and applies it to its last column.
func solve(m [][]float64) (x []float64, inverse [][]float64) {
	n := len(m)
	inverse = make([][]float64, n)
	for i := range inverse {
		inverse[i] = make([]float64, n)
		inverse[i][i] = 1
	}
	for i := range n {
		scale := 1 / m[i][i]
		for k := range m[i] {
			m[i][k] *= scale
		}
		for k := range n {
			inverse[i][k] *= scale
		}
		for j := range n {
			if j == i {
				continue
			}
			f := m[j][i]
			for k := range m[j] {
				m[j][k] -= f * m[i][k]
			}
			for k := range n {
				inverse[j][k] -= f * inverse[i][k]
			}
		}
	}
	x = make([]float64, n)
	for i := range x {
		x[i] = m[i][n]
	}
	return x, inverse
}

// TestMeansOfAWalk: phases that walk, each measured as the mean of a slice,
// must agree with the variances that a filter of slices expects.
func TestMeansOfAWalk(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	const fine, slices = 50, 20_000
	q := noise{qx: 100}
	e := estimate{}
	x, sum := 0.0, 0.0
	var scaled, error2, variance float64
	for i := range slices {
		sum = 0
		middle := 0.0
		for k := range fine {
			x += rng.NormFloat64() * math.Sqrt(q.qx/fine)
			sum += x
			if k == fine/2 {
				middle = x
			}
		}
		m := slice{x: sum/fine + rng.NormFloat64(), v: 1, length: 1}
		if i == 0 {
			e = estimate{state{x: m.x, xx: q.spread(&m), yy: 1e-9}, 1, 0, 1}
			continue
		}
		p := e.ahead(1, q)
		expected := p.xx + m.v + q.qx/12 - q.qx/4
		scaled += (m.x - p.x) * (m.x - p.x) / expected
		e.measure(1, q, &m)
		error2 += (e.x - middle) * (e.x - middle)
		variance += e.xx
	}
	if r := math.Sqrt(scaled / slices); r < 0.97 || r > 1.03 {
		t.Errorf("measurements are %.3f standard deviations from what is expected", r)
	}
	if r := math.Sqrt(error2 / variance); r < 0.95 || r > 1.05 {
		t.Errorf("the filter is %.3f of its standard deviations wrong", r)
	}
}
