package sdktest

import (
	"slices"
	"strings"
	"testing"

	"tsrun/internal/need"
)

// TestLongEachFaultFailsWhereItShould: and no other check than those that need what
// it breaks.
func TestLongEachFaultFailsWhereItShould(t *testing.T) {
	need.Long(t)
	program := Build(t, "../internal/faulty")
	for _, f := range faults {
		s := faulty(t, program, f.plugin, f.fault)
		name, _, _ := strings.Cut(f.fault, ":")
		var failed []string
		s.Run(t.Context(), func(r Result) {
			if r.Status == Failed {
				failed = append(failed, r.Check)
			}
		})
		t.Logf("%s %s: %s", f.plugin, f.fault, strings.Join(failed, " "))
		switch f.also {
		case "all":
			continue
		case "shots": // each acquisition has it
			if len(failed) < 8 {
				t.Errorf("%s: failed are %v", f.fault, failed)
			}
			continue
		}
		want := append(strings.Fields(f.also), name)
		slices.Sort(want)
		slices.Sort(failed)
		if !slices.Equal(failed, want) {
			t.Errorf("%s: failed are %v, want %v", f.fault, failed, want)
		}
	}
}
