package slave

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tsrun/pipeline/fact"
)

// What a start takes next, of starts whose noise and hold-ups are given.
func TestExpect(t *testing.T) {
	line := func(n int, at, slope int64, held ...int) (took []int64) {
		for i := range n {
			took = append(took, at+slope*int64(i)+[]int64{0, 3000, -3000}[i%3])
		}
		for _, i := range held {
			took[i] += 900_000
		}
		return took
	}
	for name, c := range map[string]struct {
		took []int64
		want int64 // to 10 us; below 0: nobody knows
	}{
		"none":                            {nil, -1},
		"one":                             {line(1, 300_000, 0), -1},
		"two":                             {line(2, 300_000, 0), 300_000},
		"two, of which one was held up":   {line(2, 300_000, 0, 1), -1},
		"three, of which one was held up": {line(3, 300_000, 0, 1), 300_000},
		"three that differ":               {[]int64{300_000, 3_000_000, 1_000_000}, -1},
		"many":                            {line(20, 300_000, 0), 300_000},
		"one in five was held up":         {line(20, 300_000, 0, 0, 5, 10, 15, 19), 300_000},
		"more than half were held up alike no more than two": {[]int64{300_000, 5_000_000, 301_000, 1_000_000, 2_000_000, 299_000, 3_000_000, 4_000_000, 4_500_000}, 300_000},
		"grows":                          {line(20, 300_000, 10_000), 500_000},
		"grows, one in five was held up": {line(20, 300_000, 10_000, 3, 8, 13, 18), 500_000},
		"shrinks":                        {line(20, 500_000, -10_000), 300_000},
		"shrinks below nothing":          {line(20, 180_000, -10_000), 0},
		"became slower":                  {append(line(10, 300_000, 0), line(10, 800_000, 0)...), 800_000},
		"one quick one":                  {append(line(12, 300_000, 0), 10_000), 300_000},
		"became quicker":                 {append(line(12, 800_000, 0), line(6, 300_000, 0)...), 300_000},
		"the longest":                    {[]int64{mostEarly, mostEarly, mostEarly}, mostEarly},
		"nothing":                        {[]int64{0, 0, 0, 0, 0}, 0},
	} {
		got, ok := expect(c.took)
		if ok != (c.want >= 0) || ok && math.Abs(float64(got-c.want)) > 10_000 {
			t.Errorf("%s: %d, %t, want %d", name, got, ok, c.want)
		}
		if again, same := expect(c.took); again != got || same != ok {
			t.Errorf("%s: %d, and the second time %d", name, got, again)
		}
	}
}

// Whatever starts took, what is expected lies among them or a little beyond, and no more are
// kept than are looked at.
func TestExpectIsAmongWhatStartsTook(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		took := rapid.SliceOfN(rapid.OneOf(rapid.Int64Range(0, mostEarly), rapid.Int64Range(0, 200_000)), 0, followed).Draw(t, "took")
		got, ok := expect(took)
		const beyond = followed * int64(steepest+near)
		if ok && (got < slices.Min(took)-beyond || got > slices.Max(took)+beyond || got < 0) {
			t.Fatalf("%d of %v", got, took)
		}
	})
}

// Twenty thousand shots of a latency that drifts to and fro by 0.5 ms, one in five held up: the
// compensation stays near it.
func TestCompensationFollowsForever(t *testing.T) {
	back := int64(50_000)
	e := early{Compensation: fact.Compensation{UsedNs: 50_000}, back: &back}
	rng := rand.New(rand.NewPCG(1, 5))
	far := 0
	const shots = 20_000
	for i := range shots {
		latency := 600_000 + 500_000*math.Sin(float64(i)/200)
		took := int64(latency+8000*rng.NormFloat64()) + 50_000
		if rng.IntN(5) == 0 {
			took += rng.Int64N(5_000_000)
		}
		if i > 20 && math.Abs(float64(e.UsedNs)-latency-50_000) > 30_000 {
			far++
		}
		e.learn(fact.Shot{Returned: took + back})
		e = e.follow()
	}
	if len(e.took) != followed || far > shots/1000 {
		t.Errorf("%d starts are kept; in %d of %d shots the compensation was off by more than 30 us", len(e.took), far, shots)
	}
}
