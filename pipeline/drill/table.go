package drill

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
	"tsrun/sdk/quantity"
)

// Report is what a drill has found.
type Report struct {
	Runs    []Result  `json:"runs"`
	Kinds   []KindRow `json:"kinds"`
	Closed  int       `json:"closed"` // files that sinks have closed, in all runs
	Here    int       `json:"here"`   // of those: with the master, bit for bit
	Kept    int       `json:"kept"`   // with their nodes, as the manifests say
	Tags    uint64    `json:"tags"`
	Defects int       `json:"defects"` // runs with defects
}

// KindRow counts what became of the runs with faults of a kind. A run with several
// kinds stands in several rows.
type KindRow struct {
	Kind        Kind `json:"kind"`
	Faults      int  `json:"faults"` // that were done
	NotDone     int  `json:"not_done"`
	Runs        int  `json:"runs"` // with a fault that was done
	Good        int  `json:"good"`
	Incomplete  int  `json:"incomplete"` // or in another condition, with its reasons
	Aborted     int  `json:"aborted"`    // or over before it had a manifest
	Resumed     int  `json:"resumed"`    // of all: finished by tsrun resume
	Interrupted int  `json:"interrupted"`
	Defects     int  `json:"defects"`
}

// Add counts one more run.
func (p *Report) Add(r Result) {
	p.Runs = append(p.Runs, r)
	p.Closed, p.Here, p.Kept, p.Tags = p.Closed+r.Closed, p.Here+r.Here, p.Kept+r.Kept, p.Tags+r.Tags
	if len(r.Defects) > 0 {
		p.Defects++
	}
	for _, k := range Kinds() {
		p.row(k).add(k, r)
	}
}

func (p *Report) row(k Kind) *KindRow {
	i := slices.IndexFunc(p.Kinds, func(row KindRow) bool { return row.Kind == k })
	if i < 0 {
		i = len(p.Kinds)
		p.Kinds = append(p.Kinds, KindRow{Kind: k})
	}
	return &p.Kinds[i]
}

func (row *KindRow) add(k Kind, r Result) {
	done := 0
	for _, f := range r.Faults {
		switch {
		case f.Kind == k && f.Outcome == wasDone:
			done++
		case f.Kind == k:
			row.NotDone++
		}
	}
	if row.Faults += done; done == 0 {
		return
	}
	row.Runs++
	if len(r.Defects) > 0 {
		row.Defects++
	}
	if r.Ended == resumed {
		row.Resumed++
	}
	switch {
	case r.Ended == interrupted:
		row.Interrupted++
	case run.IsGood(r.Condition):
		row.Good++
	case len(r.Condition) == 0 || slices.Contains(r.Condition, run.Aborted):
		row.Aborted++
	default:
		row.Incomplete++
	}
}

// Print writes the table by kind of fault, and what became of the files.
func (p *Report) Print(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "fault\tdone\tnot done\truns\tGOOD\tnot GOOD\tABORTED\tresumed\tinterrupted\twith defects\t")
	for _, k := range p.Kinds {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n",
			k.Kind, k.Faults, k.NotDone, k.Runs, k.Good, k.Incomplete, k.Aborted, k.Resumed, k.Interrupted, k.Defects)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%s: sinks closed %s; %d with the master bit for bit (%s), %d kept at their nodes and told; %s\n",
		quantity.Counted(len(p.Runs), "run"), quantity.Counted(p.Closed, "file"), p.Here, quantity.Counted(p.Tags, "tag"), p.Kept,
		quantity.Counted(p.Defects, "run")+" with defects")
	return err
}

// Print writes what was done in one run, and what became of it.
func (r Result) Print(out io.Writer) error {
	var b strings.Builder
	var words []string
	for _, c := range r.Condition {
		words = append(words, string(c))
	}
	if len(words) == 0 {
		words = []string{"no run"}
	}
	fmt.Fprintf(&b, "seed %d: %s, %s, exit code %d, %d of %d files here, %d kept; %s\n", r.Seed, strings.Join(words, "+"), r.Ended,
		r.ExitCode, r.Here, r.Closed, r.Kept, time.Duration(r.Seconds*float64(time.Second)).Round(100*time.Millisecond))
	for _, f := range r.Faults {
		fmt.Fprintf(&b, "  %v: %s\n", f.Fault, f.Outcome)
	}
	for _, reason := range r.Reasons {
		fmt.Fprintf(&b, "  said: %s\n", text.Printable(reason))
	}
	for _, d := range r.Defects {
		fmt.Fprintf(&b, "  DEFECT %s\n", text.Printable(d))
	}
	if r.Again != "" {
		fmt.Fprintf(&b, "  kept in %s; once more: %s\n", r.Directory, r.Again)
	}
	_, err := io.WriteString(out, b.String())
	return err
}
