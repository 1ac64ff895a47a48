package master

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"tsrun/pipeline/journal"
	"tsrun/pipeline/run"
	"tsrun/pipeline/wire"
)

// Tail reads from the journal of a run what its nodes have told of their files, while the
// master writes it or after it was killed. It changes nothing there.
type Tail struct {
	path     string
	journal  journal.Tail
	manifest *run.Manifest
	channels map[string][]string // of each node, by stream
	phase    phase
	whole    []run.Segment // told, and not returned yet
}

// NewTail reads the journal in the directory of a run. What it says of controllers is
// entered in the manifest, which is the first one that the master writes, or a later one.
func NewTail(dir string, m *run.Manifest) *Tail {
	t := &Tail{path: filepath.Join(dir, run.JournalFile), manifest: m, channels: map[string][]string{}}
	for name, n := range m.Nodes {
		t.channels[name] = run.ByStream(n.Channels)
	}
	return t
}

// Next returns the segments of tags that were told of since it was called last, in the
// order of the journal. Where a file stands under its name, its bytes were proven; until
// then it is on its way. None is told of where there is no journal.
func (t *Tail) Next() ([]run.Segment, error) {
	t.whole = nil
	err := t.journal.Read(t.path, t.enter)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return t.whole, err
}

// Records counts what the journal says: it grows as long as the run goes on.
func (t *Tail) Records() uint64 { return t.journal.Records() }

// Analysing reports whether all files are here and the stages look at them, during which
// nothing is told.
func (t *Tail) Analysing() bool { return t.phase == analysing }

// Held reports whether a process has the journal open: the run's master, or tsrun resume.
func (t *Tail) Held() bool { return journal.Locked(t.path) }

func (t *Tail) enter(record []byte) error {
	var e entry
	if err := json.Unmarshal(record, &e); err != nil {
		return err
	}
	if e.Phase != "" {
		t.phase = e.Phase
	}
	if e.News == nil || t.manifest.Nodes[e.News.Node] == nil {
		return nil
	}
	if up := e.News.Controller; up != nil {
		if c := t.manifest.Nodes[e.News.Node].Controllers[up.Name]; c != nil {
			c.Device = up.Device
		}
	}
	if e.News.Segment == nil || !e.News.Segment.HoldsTags() {
		return nil
	}
	return t.segment(e.News.Node, e.News.Segment)
}

func (t *Tail) segment(node string, told *wire.Segment) error {
	channels := t.channels[node]
	if int(told.Stream) >= len(channels) {
		return fmt.Errorf("node %s told of a file of stream %d, and has %d", node, told.Stream, len(channels))
	}
	s := run.Segment{Node: node, Channel: channels[told.Stream], Segment: told.Segment}
	if s.Kind = ""; !s.InRaw() {
		return fmt.Errorf("node %s told of the file %.200q, which is elsewhere", node, s.File)
	}
	t.whole = append(t.whole, s)
	return nil
}
