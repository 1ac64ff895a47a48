package recipe

import (
	"slices"
	"strings"
	"testing"
)

func scanned(t *testing.T, scan string) (*Resolved, error) {
	t.Helper()
	return Parse("x.yaml", []byte(`version: 1
name: x
nodes: {alice: {controllers: {tc: {driver: tc-x}}, channels: {signal: {on: tc/1, threshold: 40 mV}}}}
acquire: {duration: 1 s}
sinks: {raw: {sink: sink-file}}
scan: `+scan+"\n"), Options{})
}

func TestScan(t *testing.T) {
	const path = "nodes.alice.channels.signal.threshold"
	for scan, want := range map[string][]string{
		"{" + path + ": {from: 40 mV, to: 200 mV, step: 80 mV}}":            {"40 mV", "120 mV", "200 mV"},
		"{" + path + ": {from: 10 mV, to: -15 mV, step: -10 mV}}":           {"10 mV", "0 V", "-10 mV"},
		"{" + path + ": {from: 1 mV, to: 1 mV, step: 1 mV}}":                {"1 mV"},
		"{simulate.pairs.rate: {from: 20 kHz, to: 10 kHz, step: -5 kHz}}":   {"20 kHz", "15 kHz", "10 kHz"},
		"{simulate.alice.efficiency: {from: 50 %, to: 1 ppm, step: -25 %}}": {"50 %", "25 %"},
		"{" + path + ": [70 mV, 50 mV]}":                                    {"70 mV", "50 mV"},
		"{acquire.repeat: {from: 1, to: 3, step: 1}}":                       {"1", "2", "3"},
		"{acquire.repeat: [1, 2], acquire.duration: [1 s, 2 s]}":            {"1", "2"},
		"{acquire.duration: {from: 1 s, to: 10000 s, step: 1 s}}":           nil,
	} {
		r, err := scanned(t, scan)
		if err != nil || r.Scan == nil {
			t.Errorf("%s: %v", scan, err)
			continue
		}
		if got := r.Scan.Axes[0].Values; want != nil && !slices.Equal(got, want) || want == nil && len(got) != MaxScanRuns {
			t.Errorf("%s: %q", scan, got)
		}
		if strings.Contains(string(r.YAML()), "scan:") {
			t.Errorf("%s: a run of it would be a series", scan)
		}
	}
	r, _ := scanned(t, "{acquire.repeat: [1, 2], acquire.duration: [1 s, 2 s]}")
	if got := r.Scan.Set(2); r.Scan.Runs() != 4 || !slices.Equal(got, []string{"acquire.repeat=2", "acquire.duration=1 s"}) {
		t.Errorf("%d runs, the third %q", r.Scan.Runs(), got)
	}
}

func TestScansThatAreNone(t *testing.T) {
	for scan, says := range map[string]string{
		"[]":                                 "a section is due",
		"{}":                                 "0 things vary",
		"{on_failure: wait}":                 "wait",
		"{acquire.repeat: 5}":                "values are due",
		"{acquire.repeat: []}":               "a list of 0",
		"{acquire.repeat: [[1]]}":            "a single value",
		"{acquire.repeat: {from: 1, to: 2}}": "from, to and step",
		"{acquire.repeat: {from: 1, to: 2, step: 0}}":                                                        "do not lead",
		"{simulate.pairs.rate: {from: 1 kHz, to: 2 kHz, step: --1 kHz}}":                                     "of one unit",
		"{acquire.repeat: {from: 1, to: 2, step: -1}}":                                                       "do not lead",
		"{acquire.repeat: {from: 1, to: 20001, step: 1}}":                                                    "more than the 10000",
		"{acquire.repeat: {from: -9223372036854775808, to: 9223372036854775807, step: 1}}":                   "do not lead",
		"{acquire.repeat: {from: 1, to: 2 s, step: 1}}":                                                      "of one unit",
		"{acquire.repeat: {from: 1, to: 2, step: 1, by: 2}}":                                                 "no part of a range",
		"{acquire.repeat: [1, 0]}":                                                                           "acquire.repeat = 0",
		"{acquire.nothing: [1]}":                                                                             "nothing",
		"{scan.on_failure: [stop]}":                                                                          "nothing that can vary",
		"{acquire.repeat: [1], acquire.duration: [1 s], acquire.segment: [1 s]}":                             "3 things vary",
		"{acquire.repeat: {from: 1, to: 1000, step: 1}, acquire.duration: {from: 1 s, to: 11 s, step: 1 s}}": "11000 runs",
	} {
		if _, err := scanned(t, scan); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", scan, err, says)
		}
	}
}
