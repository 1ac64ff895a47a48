package slave

import (
	"testing"
	"time"
)

// TestOverrun: a recording that should have ended is waited for as long as it comes farther,
// however slowly.
func TestOverrun(t *testing.T) {
	ps := func(seconds uint64) uint64 { return seconds * 1e12 }
	for name, c := range map[string]struct {
		reached      func(second int) uint64
		stands, late int // seconds after its end; 0: not within a quarter of an hour
	}{
		"nothing ever came":           {func(int) uint64 { return 0 }, 30, 0},
		"all is there, and no end":    {func(int) uint64 { return ps(10) }, 30, 0},
		"the last tags came later":    {func(s int) uint64 { return ps(min(10, 5+uint64(s))) }, 35, 0},
		"it comes by and by":          {func(s int) uint64 { return ps(uint64(s / 25)) }, 0, 30},
		"it stands for a while first": {func(s int) uint64 { return ps(uint64((s + 12) / 26)) }, 0, 40},
		"a slow sink":                 {func(s int) uint64 { return ps(uint64(s / 29)) }, 0, 30},
		"a slow sink that then hangs": {func(s int) uint64 { return ps(uint64(min(s, 500))) }, 530, 30},
	} {
		var o overrun
		end, late, stands := time.Now(), 0, 0
		for second := 0; second < 900 && stands == 0; second++ {
			switch stopped, told := o.look(c.reached(second), end.Add(time.Duration(second)*time.Second)); {
			case stopped:
				stands = second
			case told && late > 0:
				t.Errorf("%s: told twice", name)
			case told:
				late = second
			}
		}
		if stands != c.stands || late != c.late {
			t.Errorf("%s: told after %d s and stands still after %d s, want %d and %d", name, late, stands, c.late, c.stands)
		}
	}
}
