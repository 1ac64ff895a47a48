package wire

import (
	"testing"
	"time"
)

// A pause of one's own is no silence of the others.
func TestPausesAreForgiven(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(0, int64(s*1e9)) }
	for _, c := range []struct {
		name  string
		looks []float64 // s
		heard float64   // s; before the last look
		want  time.Duration
	}{
		{"the first look", []float64{100}, 99, time.Second},
		{"looks that are on time", []float64{0, 0.25, 0.5, 0.75, 1.7}, 0.5, 1200 * time.Millisecond},
		{"stopped for long", []float64{0, 0.25, 3600}, 0, 250 * time.Millisecond},
		{"silent before it was stopped", []float64{0, 0.9, 1.8, 2.7, 30}, 0, 2700 * time.Millisecond},
		{"heard within the pause", []float64{0, 30}, 29, 0},
		{"two pauses", []float64{0, 10, 10.25, 20}, 0, 250 * time.Millisecond},
		{"a clock that went back", []float64{10, 5}, 5, 0},
	} {
		var a Attention
		heard := at(c.heard)
		for _, s := range c.looks {
			if pause := a.Pause(at(s)); s >= c.heard {
				heard = Forgive(heard, pause, at(s))
			}
		}
		if last := at(c.looks[len(c.looks)-1]); last.Sub(heard) != c.want {
			t.Errorf("%s: silent for %v, want %v", c.name, last.Sub(heard), c.want)
		}
	}
}
