package doctor

import (
	"path/filepath"
	"strings"
	"testing"

	"tsrun/pipeline/clock"
)

// A service that a run starts by alone is asked, and without it a run would be refused; where all nodes
// are of one PC, and where the probe may do, it is not.
func TestServicesOfTheRecipe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		source, host string
		refused      bool
	}{{clock.PTP, "remote", true}, {clock.PTP, "local", false}, {"auto", "remote", false}, {clock.Probe, "remote", false}, {"none", "remote", false}} {
		o := Options{Run: aRecipe(t, local)}
		r := o.Run.Recipe.Recipe
		r.Clock.Source, r.Clock.Socket = c.source, filepath.Join(t.TempDir(), "nobody")
		for i := range r.Nodes {
			r.Nodes[i].Host = c.host
		}
		f := named(keepers(t.Context(), o), "ptp4l")
		if (f.State == Refused) != c.refused || c.refused && (!strings.Contains(f.Measured, "nobody") || f.Do != clock.ServicesHint || f.Why == "") {
			t.Errorf("%+v: %+v", c, f)
		}
	}
}

func TestHowAServiceStands(t *testing.T) {
	good := clock.Standing{Reference: "ptp 1 domain 0", State: "SLAVE", Offset: -1500, Bound: 700}
	lost := clock.Standing{Lost: "its port is LISTENING"}
	for _, c := range []struct {
		standing *clock.Standing
		why      string
		wanted   bool
		state    State
		says     string
	}{
		{&good, "", true, Good, "off by -1.5 us, known to 0.7 us"},
		{&good, "", false, Good, "ptp 1 domain 0"},
		{&lost, "", true, Refused, "LISTENING"},
		{&lost, "", false, Notable, "LISTENING"},
		{nil, "no such file", true, Refused, "no such file"},
		{nil, "", true, Refused, "too little"},
	} {
		if f := keeper(clock.PTP, c.standing, c.why, c.wanted); f.State != c.state || !strings.Contains(f.Measured, c.says) || (f.State != Good) != (f.Do != "") {
			t.Errorf("%+v: %+v", c, f)
		}
	}
}
