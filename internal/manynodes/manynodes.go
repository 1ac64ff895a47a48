// Package manynodes writes recipes of many simulated nodes, for tests and benchmarks of how a
// run grows with them.
package manynodes

import (
	"fmt"
	"strings"
)

// Ring says what a run of many nodes is like: each shares a source of pairs with the one before
// it and the one after it, and the last one with the first.
type Ring struct {
	Nodes   int
	Master  string // address, where the nodes but the first are on other PCs; "": all are local
	Seconds int
	Align   bool // find all clocks; without it only tags are counted
}

// Names are those of the nodes, the master's own first.
func (r Ring) Names() (names []string) {
	for i := range r.Nodes {
		names = append(names, fmt.Sprintf("n%02d", i))
	}
	return names
}

// Recipe is the text of the recipe. Records are long and rates are low: twenty nodes are sixty
// processes, and the PC that has all of them has few processors.
func (r Ring) Recipe() string {
	var nodes, lights strings.Builder
	for i, name := range r.Names() {
		host := "local"
		if r.Master != "" && i > 0 {
			host = "remote"
		}
		fmt.Fprintf(&nodes, `  %s:
    host: %s
    controllers: {tc: {driver: tc-ethernet, config: {address: sim, record: 1 s}}}
    channels: {c: {on: tc/1, threshold: 100 mV}}
`, name, host)
		fmt.Fprintf(&lights, "  %s: {sees: [s%d, s%d], efficiency: 60 %%, dark: 100 Hz, clock_offset: %d ns, drift: %d ppb}\n",
			name, i, (i+r.Nodes-1)%r.Nodes, 137*i, 7*i)
	}
	network := ""
	if r.Master != "" {
		network = fmt.Sprintf("network: {master: %s, insecure: true}\n", r.Master)
	}
	stage := "{stage: rates, config: {of: [n00.c], bin: 1 s}}"
	if r.Align {
		stage = "{stage: align, name: clocks, config: {reference: n00.c, targets: all}}"
	}
	return fmt.Sprintf(`version: 1
name: nodes%d
%snodes:
%strigger: {master: n00, lead: 3 s}
acquire: {duration: %d s, segment: 2 s}
pipeline:
  - %s
sinks:
  raw: {sink: sink-file, config: {format: bin}}
simulate:
  seed: 5
  pairs: {rate: 2 kHz, jitter: 80 ps}
%s`, r.Nodes, network, nodes.String(), r.Seconds, stage, lights.String())
}
