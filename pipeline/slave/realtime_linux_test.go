package slave

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"tsrun/pipeline/recipe"
	"tsrun/sdk/quantity"
	"tsrun/sdk/realtime"
)

// holds is how often this process keeps processors from sleeping.
func holds(t *testing.T) (n int) {
	t.Helper()
	descriptors, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range descriptors {
		if target, err := os.Readlink(d); err == nil && target == "/dev/cpu_dma_latency" { // others come and go
			n++
		}
	}
	return n
}

func TestProcessorsAreAwakeAboutTheInstant(t *testing.T) {
	ours := 1
	if _, hold := realtime.HoldDMALatency(0); hold != nil {
		hold.Close()
	} else {
		ours = 0 // then nothing is held, and the run goes on
	}
	asked := quantity.Time(0)
	for name, c := range map[string]struct {
		recipe  recipe.Recipe
		instant time.Duration
		ends    bool
		held    [3]int // at once, shortly before the instant, afterwards
	}{
		"a lead":                       {instant: time.Second, held: [3]int{0, ours, 0}},
		"a long lead":                  {instant: time.Hour, held: [3]int{0, ours, 0}},
		"the shortest lead":            {instant: 100 * time.Millisecond, held: [3]int{ours, ours, 0}},
		"at once":                      {held: [3]int{ours, ours, 0}},
		"late":                         {instant: -time.Hour},
		"called off":                   {instant: time.Second, ends: true},
		"the recipe says how awake":    {instant: 100 * time.Millisecond, recipe: recipe.Recipe{Realtime: recipe.Realtime{DMALatency: &asked}}},
		"called off, the instant near": {instant: 100 * time.Millisecond, ends: true, held: [3]int{ours, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				eq := &equipment{s: &session{recipe: &c.recipe}}
				ctx, end := context.WithCancelCause(t.Context())
				defer end(nil)
				instant := time.Now().Add(c.instant)
				eq.stayAwakeAbout(ctx, instant)
				var seen [3]int
				for i, at := range []time.Time{time.Now(), instant.Add(-time.Millisecond), instant.Add(time.Second)} {
					time.Sleep(time.Until(at))
					synctest.Wait()
					seen[i] = holds(t)
					if c.ends {
						end(errors.New("called off"))
					}
				}
				if seen != c.held {
					t.Errorf("held %v, want %v", seen, c.held)
				}
			})
		})
	}
}
