package run

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"

	"tsrun/pipeline/clock"
	"tsrun/sdk"
)

// maxClockRecord bounds a record of a clock that is read back: 60 days.
const maxClockRecord = 1 << 28

// ClockHistory is how a node's clock stood against the master's through a run, worked
// out again from what the run directory keeps.
type ClockHistory struct {
	Node    string         `json:"node"`
	Source  string         `json:"source"` // of the recipe
	File    string         `json:"file"`   // the record
	Moments []clock.Moment `json:"moments"`
}

// Clocks works out the clocks of a run directory from their records, whose SHA-256 it
// proves. The error says that there are none, or what is wrong with one.
func Clocks(dir string) (all []ClockHistory, err error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	root, err := openRun(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	for _, s := range m.Segments {
		if s.HoldsTags() || !s.InRaw() || s.File != path.Join(RawDir, s.Node, clock.RecordDir, clock.RecordFile) {
			continue
		}
		text, err := readBounded(root, s.File, maxClockRecord)
		if err != nil {
			return nil, fmt.Errorf("read record of the clock of %s: %w", s.Node, err)
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != s.SHA256 {
			return nil, fmt.Errorf("%s: its SHA-256 is not that of the manifest: it was changed, or has not arrived whole; look with: tsrun verify %s", s.File, dir)
		}
		moments, err := clock.Replay(bytes.NewReader(text), m.Trigger.ClockSource)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.File, err)
		}
		all = append(all, ClockHistory{Node: s.Node, Source: m.Trigger.ClockSource, File: s.File, Moments: moments})
	}
	if len(all) == 0 {
		return nil, &sdk.Failure{Code: "no-clocks", Message: dir + " keeps no record of a clock",
			Hint: "there is one of each node on another PC that came to its end, where clock.source is not none"}
	}
	return all, nil
}
