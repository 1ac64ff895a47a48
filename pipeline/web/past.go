package web

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"iter"

	"tsrun/pipeline/event"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
)

const (
	maxSyncLine = 64 << 10
	maxSync     = 256 << 20 // bytes of sync.jsonl that are looked at
)

// Past is what a run directory tells of its run, as events; and its recipe, nil where
// that cannot be read.
func Past(dir string) (iter.Seq[event.Stamped], *recipe.Recipe, error) {
	m, err := run.ReadManifest(dir)
	if err != nil {
		return nil, nil, err
	}
	_, r, err := run.ReadRun(dir)
	if err != nil {
		r = nil // the manifest says enough
	}
	return func(yield func(event.Stamped) bool) {
		if m.Sync != "" {
			if err := pastClocks(dir, m.Sync, yield); err != nil && !yield(event.Stamped{Time: m.Ended, Event: event.Warning{Message: err.Error(), Hint: "tsrun verify says what else of the run is not as it was"}}) {
				return
			}
		}
		yield(event.Stamped{Time: m.Ended, Event: event.Finished{Directory: dir, Manifest: m}})
	}, r, nil
}

// pastClocks tells how the clocks stood while the run went on.
func pastClocks(dir, name string, yield func(event.Stamped) bool) error {
	in, err := run.OpenFile(dir, name)
	if err != nil {
		return fmt.Errorf("read how the clocks stood: %w", err)
	}
	defer in.Close()
	lines := bufio.NewScanner(io.LimitReader(in, maxSync))
	lines.Buffer(nil, maxSyncLine)
	for n := 1; lines.Scan(); n++ {
		var s event.Sync
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return fmt.Errorf("read how the clocks stood: %s, line %d: %w", name, n, err)
		}
		if !yield(event.Stamped{Event: s}) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read how the clocks stood: %s: %w", name, err)
	}
	return nil
}
