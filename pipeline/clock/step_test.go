package clock

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tsrun/sdk/realtime"
)

// TestClockThatIsSet shows a watcher a clock that is set, and says how it hears of that.
func TestClockThatIsSet(t *testing.T) {
	const second = int64(1e9)
	type look struct {
		told bool  // by the system
		by   int64 // the clock was set before it
		want int64 // 0: nothing is told
	}
	for name, looks := range map[string][]look{
		"never":                             {{}, {}, {}},
		"a second forward":                  {{}, {told: true, by: second, want: second}, {}},
		"a second back":                     {{told: true, by: -second, want: -second}},
		"a microsecond, as the system says": {{told: true, by: 1000, want: 1000}},
		"where the system says nothing":     {{by: second, want: second}, {by: -second, want: -second}},
		"too little to be sure of":          {{by: 1000}, {by: -1000}},
		"by nothing":                        {{told: true}},
		"twice":                             {{told: true, by: second, want: second}, {told: true, by: 2 * second, want: 2 * second}},
		"a century":                         {{told: true, by: 3e18, want: 3e18}},
	} {
		t.Run(name, func(t *testing.T) {
			now := realtime.Clock{Mono: 5 * second, Real: 1e18}
			ctx, cancel := context.WithCancel(t.Context())
			set, ticks, asked := make(chan struct{}), make(chan time.Time), make(chan realtime.Clock)
			var steps, want []Step
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				watch(ctx, set, ticks, func() realtime.Clock { return <-asked }, func(s Step) { steps = append(steps, s) })
			}()
			asked <- now
			for _, l := range looks {
				now.Mono += second
				now.Real += second + l.by
				if l.told {
					set <- struct{}{}
				} else {
					ticks <- time.Time{}
				}
				asked <- now
				if l.want != 0 {
					want = append(want, Step{At: now.Real, By: l.want})
				}
			}
			cancel()
			<-ended
			if diff := cmp.Diff(want, steps); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestStepInWords(t *testing.T) {
	for want, s := range map[string]Step{
		"was set forward by 1.5s, at 12:34:56.789012 UTC":                  {At: 45296789012000, By: 1.5e9},
		"was set back by 250µs, at 00:00:00.000000 UTC":                    {By: -250_000},
		"was set back by 2562047h47m16.854775807s, at 00:00:00.000000 UTC": {By: -1 << 63},
	} {
		if s.String() != want {
			t.Errorf("%q, want %q", s, want)
		}
	}
}

func TestWatchEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*lookEvery)
	defer cancel()
	Watch(ctx, func(s Step) { t.Logf("the clock of this PC %v", s) }) // somebody may
}
