package web

import (
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tsrun/pipeline/run"
)

// metric is one kind of number for Prometheus, with a value for each set of labels.
type metric struct {
	name, kind, help string // kind: gauge or counter
	samples          []sample
}

// sample is a value with its labels: names and values in turn.
type sample struct {
	labels []string
	value  float64
}

// states are those of a run, each with a number of its own in tsrun_state.
var states = []string{"joining", "arming", "armed", "running", "draining", "transferring", "analysing", "done", "aborted", "failed"}

// metrics are the numbers of the board. What is not known has no value.
func (b *board) metrics(now time.Time) []metric {
	all := append([]metric{
		{"tsrun_info", "gauge", "Always 1; the run as labels.", []sample{{[]string{"name", b.name, "run", b.begun.Run, "simulated", strconv.FormatBool(b.simulated)}, 1}}},
		b.stateMetric(),
	}, b.nodeMetrics(now)...)
	all = append(all, b.channelMetrics()...)
	all = append(all, b.clockMetrics()...)
	all = append(all, b.pairMetrics()...)
	if b.finished != nil && b.finished.Manifest != nil {
		good := metric{name: "tsrun_condition", kind: "gauge", help: "1 for each word of the condition of the run, which is over."}
		for _, c := range b.finished.Manifest.Condition {
			good.add(1, "condition", string(c))
		}
		all = append(all, good, skewMetric(b.finished.Manifest, "tsrun_start_skew_seconds", "How much later than the trigger's master a node started.", func(s run.SkewRecord) int64 { return s.SkewNs }),
			skewMetric(b.finished.Manifest, "tsrun_start_skew_bound_seconds", "The true skew is within this of tsrun_start_skew_seconds.", func(s run.SkewRecord) int64 { return s.UncertaintyNs }))
	}
	return all
}

func (m *metric) add(value float64, labels ...string) {
	m.samples = append(m.samples, sample{labels, value})
}

// stateMetric is 1 for the state that the run is in.
func (b *board) stateMetric() metric {
	m := metric{name: "tsrun_state", kind: "gauge", help: "1 for the part of the run that goes on, 0 for the others."}
	for _, s := range states {
		m.add(map[bool]float64{true: 1}[s == b.state], "state", s)
	}
	return m
}

func (b *board) nodeMetrics(now time.Time) []metric {
	up := metric{name: "tsrun_node_up", kind: "gauge", help: "1 for a node that has joined and is not away."}
	heard := metric{name: "tsrun_node_progress_age_seconds", kind: "gauge", help: "Time since the node last recorded more."}
	elapsed := metric{name: "tsrun_node_recorded_seconds", kind: "gauge", help: "Time that the slowest channel of the node has recorded."}
	free := metric{name: "tsrun_disk_free_bytes", kind: "gauge", help: "Free space on the disk that is full first, the node's or the master's."}
	left := metric{name: "tsrun_disk_left_seconds", kind: "gauge", help: "Time until that disk reaches faults.disk_below; no value while it does not fill."}
	files := metric{name: "tsrun_files_verified_total", kind: "counter", help: "Files of the node that are with the master and proven."}
	size := metric{name: "tsrun_files_verified_bytes_total", kind: "counter", help: "Bytes of the files that are with the master and proven."}
	on := metric{name: "tsrun_transfer_pending_bytes", kind: "gauge", help: "Bytes of the files on their way that are not here yet."}
	gaps := metric{name: "tsrun_losses_total", kind: "counter", help: "Gaps that the node has told of."}
	pending := map[string]int64{}
	for _, t := range b.transfers {
		pending[t.Node] += max(t.Size-t.Done, 0)
	}
	for _, name := range b.nodeNames() {
		n := b.nodes[name]
		up.add(map[bool]float64{true: 1}[n.joined != nil && n.away == nil && b.finished == nil], "node", name)
		if p := n.progress; p != nil {
			heard.add(max(now.Sub(n.heard), 0).Seconds(), "node", name)
			elapsed.add(p.Elapsed.Seconds(), "node", name)
			if p.DiskFree > 0 {
				free.add(float64(p.DiskFree), "node", name)
			}
			if p.DiskLeft != nil {
				left.add(p.DiskLeft.Seconds(), "node", name)
			}
		}
		files.add(float64(n.files), "node", name)
		size.add(float64(n.bytes), "node", name)
		on.add(float64(pending[name]), "node", name)
		gaps.add(float64(b.lost[name]), "node", name)
	}
	return []metric{up, heard, elapsed, free, left, files, size, on, gaps}
}

func (b *board) channelMetrics() []metric {
	tags := metric{name: "tsrun_tags_total", kind: "counter", help: "Time tags of the channel that its node has counted."}
	lost := metric{name: "tsrun_tags_lost_total", kind: "counter", help: "Time tags of the channel that are known to be missing."}
	rate := metric{name: "tsrun_rate_hertz", kind: "gauge", help: "Tags per second of the channel in its last quarter of a second or more."}
	for _, name := range b.channelNames() {
		c := b.channels[name]
		if c.known {
			tags.add(float64(c.tags), "channel", name)
			lost.add(float64(c.lost), "channel", name)
		}
		if c.rate != nil {
			rate.add(float64(c.rate.Millihertz())/1000, "channel", name)
		}
	}
	return []metric{tags, lost, rate}
}

func (b *board) clockMetrics() []metric {
	state := metric{name: "tsrun_clock_tracking", kind: "gauge", help: "1 for a clock that its align stage follows."}
	offset := metric{name: "tsrun_clock_offset_seconds", kind: "gauge", help: "Target minus reference of an align stage, delays of cables and detectors included."}
	sd := metric{name: "tsrun_clock_offset_sd_seconds", kind: "gauge", help: "Standard deviation of tsrun_clock_offset_seconds."}
	pace := metric{name: "tsrun_clock_frequency_ratio", kind: "gauge", help: "By which share the target's clock runs fast; 1e-9 is 1 ppb."}
	for _, key := range slices.Sorted(maps.Keys(b.clocks)) {
		s := b.clocks[key].sync
		labels := []string{"reference", s.Reference, "stage", s.Stage, "target", s.Target}
		state.add(map[bool]float64{true: 1}[s.State == "tracking" || s.State == "stepped"], labels...)
		if s.Value != nil {
			offset.add(s.Offset.Float()/1e12, labels...)
			sd.add(s.OffsetSD/1e12, labels...)
			pace.add(s.Frequency/1e9, labels...)
		}
	}
	return []metric{state, offset, sd, pace}
}

func skewMetric(m *run.Manifest, name, help string, of func(run.SkewRecord) int64) metric {
	k := metric{name: name, kind: "gauge", help: help}
	for _, s := range m.Trigger.Skew {
		k.add(float64(of(s))/1e9, "against", s.Against, "node", s.Node)
	}
	return k
}

// labelText is for the value of a label.
var labelText = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// writeMetrics writes numbers in the text format of Prometheus, version 0.0.4.
func writeMetrics(w io.Writer, all []metric) error {
	var out strings.Builder
	for _, m := range all {
		if len(m.samples) == 0 {
			continue
		}
		fmt.Fprintf(&out, "# HELP %s %s\n# TYPE %s %s\n", m.name, strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(m.help), m.name, m.kind)
		for _, s := range m.samples {
			out.WriteString(m.name)
			for i := 0; i+1 < len(s.labels); i += 2 {
				out.WriteString(map[bool]string{true: "{", false: ","}[i == 0] + s.labels[i] + `="` + labelText.Replace(strings.ToValidUTF8(s.labels[i+1], "\uFFFD")) + `"`)
			}
			if len(s.labels) > 0 {
				out.WriteByte('}')
			}
			out.WriteString(" " + numberText(s.value) + "\n")
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func numberText(v float64) string {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 1):
		return "+Inf"
	case math.IsInf(v, -1):
		return "-Inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// metrics sends the numbers for Prometheus.
func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) {
	v, _, err := s.current()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error(), "tell those who make tsrun")
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_ = writeMetrics(w, v.metrics) // to a reader that may be gone
}
