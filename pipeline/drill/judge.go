package drill

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tsrun/pipeline/run"
)

// Result is what became of one run.
type Result struct {
	Seed      uint64          `json:"seed"`
	Faults    []Done          `json:"faults"`
	ExitCode  int             `json:"exit_code"` // of the master; -1: it was killed
	Ended     string          `json:"ended"`     // by itself, resumed, interrupted, hung
	Condition []run.Condition `json:"condition"` // none: the run left no manifest
	Reasons   []string        `json:"reasons"`
	Closed    int             `json:"closed"` // files that sinks have closed
	Here      int             `json:"here"`   // of those: with the master, bit for bit
	Kept      int             `json:"kept"`   // of the others: with their node, as the manifest says
	Tags      uint64          `json:"tags"`   // in the files that are with the master
	Defects   []string        `json:"defects"`
	Seconds   float64         `json:"seconds"`
	Directory string          `json:"directory,omitempty"` // kept where there are defects
	Again     string          `json:"again,omitempty"`     // the command that does the same once more

	portTaken bool // it did not begin: another program had one of its ports
}

// Ways in which a run ends.
const (
	byItself    = "by itself"
	resumed     = "resumed"
	interrupted = "interrupted" // the master has not finished the run, and nobody else has
	hung        = "hung"
)

func (r *Result) defect(format string, args ...any) {
	r.Defects = append(r.Defects, fmt.Sprintf(format, args...))
}

// judge compares a run directory with what the witness has seen.
func (b *bench) judge(r *Result, w *witness) {
	r.Defects = append(r.Defects, w.odd...)
	r.Closed = len(w.files)
	dir, m, err := b.runDirectory()
	switch {
	case err != nil:
		r.defect("%v", err)
		return
	case m == nil:
		b.judgeWithoutRun(r, w)
		return
	}
	r.Condition = m.Condition
	for _, reason := range m.Reasons {
		if reason.Condition == run.Simulated {
			continue
		}
		r.Reasons = append(r.Reasons, reasonText(reason))
	}
	j := &judgement{r: r, m: m, dir: dir}
	for _, name := range slices.Sorted(maps.Keys(w.files)) {
		j.judgeFile(name, w.files[name])
	}
	j.judgeManifest()
	j.judgeBytes()
}

// runDirectory finds the only run and its manifest; none is no error: nothing may
// have begun.
func (b *bench) runDirectory() (string, *run.Manifest, error) {
	paths, err := run.Runs(b.runs())
	switch {
	case errors.Is(err, os.ErrNotExist) || err == nil && len(paths) == 0:
		return "", nil, nil
	case err != nil:
		return "", nil, err
	case len(paths) > 1:
		return "", nil, fmt.Errorf("one run has left %d run directories", len(paths))
	}
	m, err := run.ReadManifest(paths[0])
	return paths[0], m, err
}

// judgeWithoutRun is for a run that ended before it had a manifest.
func (b *bench) judgeWithoutRun(r *Result, w *witness) {
	if !slices.ContainsFunc(r.Faults, func(f Done) bool { return f.Outcome == wasDone }) {
		r.portTaken = strings.Contains(b.lastWords(), "address already in use")
		r.defect("no fault was done, and the run did not begin; its master said: %s", b.lastWords())
	}
	if r.ExitCode == 0 {
		r.defect("the master ended well and left no run")
	}
	for name, f := range w.files {
		if f.held() {
			r.Kept++
		} else {
			r.defect("%s was closed, and is nowhere", name)
		}
	}
}

// lastWords is the end of what the master wrote.
func (b *bench) lastWords() string {
	words, _ := os.ReadFile(filepath.Join(b.dir, "master.log")) // none is none
	return string(words[max(0, len(words)-1000):])
}

func reasonText(r run.Reason) string {
	where := r.Node
	if r.Channel != "" {
		where += "." + r.Channel
	}
	if where != "" {
		where += ": "
	}
	return fmt.Sprintf("%s %s%s", r.Condition, where, r.Message)
}

type judgement struct {
	r   *Result
	m   *run.Manifest
	dir string
}

// judgeFile wants a closed file with the master, bit for bit, listed once and
// proven; or with its node, and a reason against that in the manifest.
func (j *judgement) judgeFile(name string, f *closedFile) {
	var listed []run.Segment
	for _, s := range j.m.Segments {
		if s.File == name {
			listed = append(listed, s)
		}
	}
	same, err := sameBytes(f.kept, filepath.Join(j.dir, filepath.FromSlash(name)))
	switch {
	case len(listed) > 1:
		j.r.defect("%s stands %d times in the manifest", name, len(listed))
	case err == nil && !same:
		j.r.defect("%s is not with the master as the sink has closed it", name)
	case err == nil && len(listed) == 1 && (listed[0].Verified || j.open()):
		j.r.Here++
		j.r.Tags += listed[0].Tags
	case err == nil && j.open():
		j.r.Here++
	case err == nil:
		j.r.defect("%s is with the master, and the manifest does not call it proven", name)
	case f.held() && (j.open() || j.explains(f.node)):
		j.r.Kept++
	case f.held():
		j.r.defect("%s is only with node %s, and the manifest gives no reason", name, f.node)
	case (j.m.Trigger.InstantNs == 0 || f.empty()) && j.m.Has(run.Aborted):
		// Nothing was to be recorded, or was.
	default:
		j.r.defect("%s was closed, and is nowhere: lost", name)
	}
}

// open says whether the run waits to be finished.
func (j *judgement) open() bool { return j.r.Ended == interrupted }

// explains says whether the manifest has a reason why something of a node is missing. A
// run that was given up took nothing more of any.
func (j *judgement) explains(node string) bool {
	return slices.ContainsFunc(j.m.Reasons, func(r run.Reason) bool {
		return (r.Node == node || r.Node == "" || r.Condition == run.Aborted) && r.Condition != run.Tainted && r.Condition != run.Simulated && r.Condition != run.Good
	})
}

// judgeManifest wants an end, every reason that the manifest itself shows, and an
// exit code that fits.
func (j *judgement) judgeManifest() {
	if j.open() {
		return
	}
	if j.m.Ended.IsZero() {
		j.r.defect("the run has not ended")
	}
	known := map[string]bool{}
	for _, r := range j.m.Reasons {
		known[reasonText(r)] = true
	}
	_, reasons := run.Judge(j.m, j.m.Reasons)
	for _, r := range reasons {
		if !known[reasonText(r)] {
			j.r.defect("the manifest does not say: %s", reasonText(r))
		}
	}
	if good := run.IsGood(j.m.Condition); j.r.ExitCode >= 0 && good != (j.r.ExitCode == 0) {
		j.r.defect("exit code %d of a run in condition %v", j.r.ExitCode, j.m.Condition)
	}
}

// judgeBytes proves the run directory. What never arrived is no finding where the
// manifest says so.
func (j *judgement) judgeBytes() {
	v, err := run.Verify(j.dir)
	if err != nil {
		j.r.defect("%v", err)
	}
	for _, f := range v.Findings {
		if !j.told(f) {
			j.r.defect("%s: %s: %s", f.File, f.Code, f.Message)
		}
	}
}

// told says whether a finding is in the manifest as a reason.
func (j *judgement) told(f run.Finding) bool {
	if j.open() && f.Code != "hash" && f.Code != "size" && f.Code != "order" {
		return true
	}
	if run.IsGood(j.m.Condition) {
		return false
	}
	switch f.Code {
	case "tags":
		return filepath.Dir(f.File) == run.RawDir // a channel whose files hold less than it delivered
	case "extra":
		return unfinished(f.File)
	case "missing":
		i := slices.IndexFunc(j.m.Segments, func(s run.Segment) bool { return s.File == f.File })
		return i >= 0 && !j.m.Segments[i].Verified && j.explains(j.m.Segments[i].Node)
	}
	return false
}

// held says whether the file is still where its sink has put it.
func (f *closedFile) held() bool {
	same, err := sameBytes(f.kept, f.source)
	return err == nil && same
}

// empty says whether a file holds nothing: a sink has closed it before the start.
func (f *closedFile) empty() bool {
	info, err := os.Stat(f.kept)
	return err == nil && info.Size() == 0
}

// sameBytes compares two files.
func sameBytes(a, b string) (bool, error) {
	first, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer first.Close()
	second, err := os.Open(b)
	if err != nil {
		return false, err
	}
	defer second.Close()
	one, other := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err := io.ReadFull(first, one)
		m, also := io.ReadFull(second, other)
		if !bytes.Equal(one[:n], other[:m]) {
			return false, nil
		}
		switch {
		case n < len(one) && m < len(other) && ended(err) && ended(also):
			return true, nil
		case err != nil && !ended(err):
			return false, err
		case also != nil && !ended(also):
			return false, also
		}
	}
}

func ended(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }
