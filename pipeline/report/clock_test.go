package report

import (
	"strings"
	"testing"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/run"
)

// What is said of a node's clock: that it runs fast or slow only where its deviation tells, and
// that no kernel stamped what it was compared by, with what to do.
func TestClocksInWords(t *testing.T) {
	kernel := clock.Reading{Source: clock.Probe, Offset: 5_000_000, Bound: 700, Drift: 12_000, DriftSd: 90, KernelStamps: true}
	still, slow, processes, ptp := kernel, kernel, kernel, kernel
	still.Drift, still.DriftSd = -209, 308
	slow.Drift = -12_000
	processes.KernelStamps = false
	ptp.Source, ptp.Reference, ptp.KernelStamps = clock.PTP, "ptp 1 domain 0", false
	for name, c := range map[string]struct {
		start, last clock.Reading
		says        string
		unstamped   bool
	}{
		"fast":                {kernel, kernel, "(probe, stamps of the kernels), and ran 12 000 ± 90 ppb fast", false},
		"slow":                {slow, slow, "ran 12 000 ± 90 ppb slow", false},
		"not seen":            {still, still, "was not seen to run fast or slow: -209 ± 308 ppb", false},
		"by processes":        {processes, processes, "stamps of the processes", true},
		"the kernel was late": {processes, kernel, "stamps of the processes", false},
		"by a service":        {ptp, ptp, "ptp 1 domain 0", false},
	} {
		m := &run.Manifest{Nodes: map[string]*run.Node{"alice": {Host: "local"}, "bob": {Host: "remote", Clock: &run.NodeClock{Start: &c.start, Last: &c.last}}}}
		m.Trigger.ClockSource = "auto"
		var out strings.Builder
		reportClocks(&out, m)
		said := strings.Join(strings.Fields(out.String()), " ")
		if !strings.Contains(said, c.says) || strings.Contains(said, "without time stamps of the kernel") != c.unstamped || strings.Contains(said, clock.StampsHint) != c.unstamped {
			t.Errorf("%s: %s", name, said)
		}
	}
}
