package master

import (
	"errors"
	"fmt"
	"path"
	"sync"
	"sync/atomic"
	"syscall"

	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/sdk"
)

// saver writes manifests beside the conductor, which goes on answering nodes
// however long the disk takes. One is written at a time; one that has waited
// until a newer one came is left out.
type saver struct {
	dir    *run.Directory
	failed func(error) // called by the saver's goroutines

	room    int // segments that there is room for
	running sync.WaitGroup
	writing sync.Mutex
	newest  atomic.Uint64
}

// save writes a manifest, which nobody may change any more.
func (s *saver) save(m *run.Manifest) {
	number := s.newest.Add(1)
	s.running.Go(func() {
		s.writing.Lock()
		defer s.writing.Unlock()
		if s.newest.Load() != number {
			return
		}
		if err := s.dir.WriteManifest(m); err != nil {
			s.failed(err)
		}
	})
}

// beside does what uses the disk and changes no manifest.
func (s *saver) beside(work func()) { s.running.Go(work) }

// plan keeps room on the disk for the manifest of a run that goes as planned,
// before tags can fill it.
func (s *saver) plan(r *recipe.Recipe) error {
	series, each := r.Segments()
	longest := ""
	for _, n := range r.Nodes {
		for _, c := range n.Channels {
			for _, k := range r.Sinks {
				if name := path.Join(run.RawDir, n.Name, k.Name, c.Name+"-000000.tags"); len(name) > len(longest) {
					longest = name
				}
			}
		}
	}
	s.room = int(series * (each + 1)) // a record may be a moment longer than asked
	err := s.dir.Reserve(s.room, longest)
	if errors.Is(err, syscall.ENOSPC) {
		free, _ := run.FreeSpace(s.dir.Path()) // 0 is near enough
		return &sdk.Failure{Code: "disk-full",
			Message: fmt.Sprintf("the manifest of %d segments takes up to %d MiB, and %s has %d MiB left", s.room, run.ManifestRoom(s.room, longest)>>20, s.dir.Path(), free>>20),
			Hint:    "free some space, choose another place with --runs, or write a longer acquire.segment", Field: "acquire.segment"}
	}
	return err
}

// reserve keeps room for twice as many segments as there are, where sinks make
// more files than was planned.
func (s *saver) reserve(segments int, file string) {
	if segments <= s.room {
		return
	}
	s.room = 2 * segments
	room := s.room
	s.running.Go(func() {
		s.writing.Lock()
		defer s.writing.Unlock()
		_ = s.dir.Reserve(room, file) // a full disk keeps what it has reserved until now
	})
}

// wait returns when all is written.
func (s *saver) wait() { s.running.Wait() }
