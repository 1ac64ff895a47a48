package master

import (
	"sync"
	"sync/atomic"

	"tsrun/pipeline/run"
)

// firstRoom is how many segments there is room for from the first on.
const firstRoom = 2000

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

// save takes a manifest that nobody changes any more.
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

// reserve keeps room on the disk for the manifest of twice as many segments as
// there are, each time their number has doubled: before tags can fill it.
func (s *saver) reserve(segments int, file string) {
	if segments <= s.room/2 {
		return
	}
	s.room = max(2*segments, firstRoom)
	room := s.room
	s.running.Go(func() {
		s.writing.Lock()
		defer s.writing.Unlock()
		_ = s.dir.Reserve(room, file) // a full disk keeps what it has reserved until now
	})
}

// wait returns when all is written.
func (s *saver) wait() { s.running.Wait() }
