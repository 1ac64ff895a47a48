package drill

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	"tsrun/sdk/instrument"
)

// witness keeps every file that a sink has closed, by a link of its own to the
// same bytes, as soon as the file has its name. What later becomes of the sink's
// and of the master's copy can be compared with it.
type witness struct {
	dir   string
	nodes map[string][]string // patterns of the directories where a node's sinks write
	files map[string]*closedFile
	odd   []string // what should not be
}

// closedFile is a file that a sink has closed.
type closedFile struct {
	node   string
	source string // where the sink has put it
	kept   string // the witness's own name for it
}

// lookEvery is the time between two looks. Files stay with their node until the
// master has all and the run is over, which takes longer.
const lookEvery = 20 * time.Millisecond

func (b *bench) newWitness() *witness {
	w := &witness{dir: filepath.Join(b.dir, "witness"), nodes: map[string][]string{}, files: map[string]*closedFile{}}
	for _, n := range b.recipe.Nodes {
		pattern := filepath.Join(b.runs(), "*", "sources", "*")
		if b.links[n.Name] != nil {
			pattern = filepath.Join(b.dataOf(n.Name), "*")
		}
		w.nodes[n.Name] = []string{pattern}
	}
	return w
}

// watch looks until the run is over, and once more.
func (w *witness) watch(over context.Context) {
	for {
		ended := over.Err() != nil
		w.look()
		if ended {
			return
		}
		instrument.Pause(over, lookEvery)
	}
}

func (w *witness) look() {
	for node, patterns := range w.nodes {
		for _, pattern := range patterns {
			sessions, _ := filepath.Glob(pattern) // the pattern is right
			for _, session := range sessions {
				w.lookIn(node, session)
			}
		}
	}
}

// lookIn takes the closed files of a session: below raw/NODE/, as in a run directory.
func (w *witness) lookIn(node, session string) {
	root := filepath.Join(session, "raw", node)
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error { // what is gone meanwhile was seen or is no file
		if err != nil || !entry.Type().IsRegular() || unfinished(path) {
			return nil
		}
		name, err := filepath.Rel(session, path)
		if err == nil {
			w.take(node, filepath.ToSlash(name), path)
		}
		return nil
	})
}

// unfinished says whether a file is still being written, or was when its writer died.
func unfinished(path string) bool {
	return strings.HasSuffix(path, ".part") || strings.HasSuffix(path, ".tmp")
}

func (w *witness) take(node, name, path string) {
	if known := w.files[name]; known != nil {
		mine, err := os.Stat(known.kept)
		its, also := os.Stat(path)
		if err != nil || also != nil || os.SameFile(mine, its) || known.source == "" {
			return
		}
		// A sink that was started anew may write again what it has not told of.
		if same, err := sameBytes(known.kept, path); err == nil && !same {
			w.odd = append(w.odd, fmt.Sprintf("%s was closed, and another file has taken its name", name))
			known.source = "" // once is enough
		}
		return
	}
	kept := filepath.Join(w.dir, filepath.FromSlash(name))
	err := os.MkdirAll(filepath.Dir(kept), 0o777)
	if err == nil {
		err = os.Link(path, kept)
	}
	switch {
	case err == nil:
		w.files[name] = &closedFile{node: node, source: path, kept: kept}
	case !os.IsNotExist(err):
		w.odd = append(w.odd, fmt.Sprintf("the drill could not keep %s: %v", name, err))
	}
}
