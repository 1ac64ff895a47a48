package align

import (
	"encoding/binary"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"tsrun/sdk/tag"
)

// letGo is how long pages that were looked at stay in memory. Within it a core
// sees no more than some 100 MB of them.
const letGo = 20 * time.Millisecond

// spill is a file of tags that has no name, and a mapping of it.
type spill struct {
	file  *os.File
	pages []byte
	tags  []uint64 // all of the file; what was not put is 0
	stop  chan struct{}
	ended chan struct{}
}

// newSpill makes a file for at most so many tags. It stands where large temporary
// files belong, TMPDIR or /var/tmp: /tmp often is memory.
func newSpill(most int) (*spill, error) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		return nil, errors.New("tags in a file look different on this processor")
	}
	dir := os.Getenv("TMPDIR")
	if dir == "" {
		dir = "/var/tmp"
	}
	file, err := os.CreateTemp(dir, "tsrun-tags-")
	if err != nil {
		return nil, err
	}
	s := &spill{file: file, stop: make(chan struct{}), ended: make(chan struct{})}
	err = os.Remove(file.Name())
	if err == nil {
		err = file.Truncate(int64(most) * tag.Size)
	}
	if err == nil {
		s.pages, err = unix.Mmap(int(file.Fd()), 0, most*tag.Size, unix.PROT_READ, unix.MAP_SHARED)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	s.tags = tag.AsTags(s.pages, nil)
	go s.letPagesGo()
	return s, nil
}

// letPagesGo lets go of the pages that were seen; they come back from the file.
func (s *spill) letPagesGo() {
	defer close(s.ended)
	tick := time.NewTicker(letGo)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			_ = unix.Madvise(s.pages, unix.MADV_DONTNEED) // else they stay, which is no fault
		}
	}
}

// put writes tags to a place.
func (s *spill) put(at int, tags []uint64) error {
	_, err := s.file.WriteAt(tag.AsBytes(tags), int64(at)*tag.Size)
	return err
}

func (s *spill) close() {
	close(s.stop)
	<-s.ended
	_ = unix.Munmap(s.pages)
	s.file.Close()
}
