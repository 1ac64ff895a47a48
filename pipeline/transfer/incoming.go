package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"syscall"

	"tsrun/pipeline/run"
)

const (
	maxFiles    = 1 << 20 // of one session
	maxUnderWay = 64      // of one session, each with a file open
	maxAttempts = 3       // hashes that differ before a file is refused
	hashStep    = 16 << 20
)

// session is what one admitted node sends. Its lock is not held while a file is
// opened, written, hashed or made durable: a slow disk delays neither a chunk of
// another file nor an answer.
type session struct {
	node string
	root *os.Root // of the run directory; nothing outside of it can be named
	err  error    // why root is nil

	mu       sync.Mutex
	files    map[uint32]*incoming
	names    map[string]bool
	underWay int
	taken    uint64
}

// incoming is one file on its way in:
//
//	reserving ──room──▶ receiving ──complete──▶ verifying ──hash equal, durable──▶ verified
//	                        ▲                      │
//	                        └────hash differs──────┤
//	                                               └──▶ refused, from anywhere
type incoming struct {
	file     File
	part     *os.File
	there    bool // the file stood under its name before it was announced
	state    state
	why      string // refused
	got      spans
	writing  int // chunks being written now
	attempts int
	damaged  int
	told     Progress
}

type state int

const (
	reserving state = iota
	receiving
	verifying
	verified
	refused
)

// announce enters a file, for which makeRoom must then make room. The caller
// holds s.mu.
func (s *session) announce(f File) (*incoming, error) {
	if err := f.check(s.node); err != nil {
		return nil, fmt.Errorf("take %.200q: %w", f.Name, err)
	}
	switch {
	case s.err != nil:
		return nil, fmt.Errorf("take %s: %w", f.Name, s.err)
	case s.names[f.Name]:
		return nil, fmt.Errorf("take %s: another file of this name was announced", f.Name)
	case len(s.files) >= maxFiles:
		return nil, fmt.Errorf("take %s: a node may send %d files", f.Name, maxFiles)
	case s.underWay >= maxUnderWay:
		return nil, fmt.Errorf("take %s: a node may have %d files under way", f.Name, maxUnderWay)
	}
	in := &incoming{file: f}
	s.files[f.ID], s.names[f.Name] = in, true
	s.underWay++
	return in, nil
}

// makeRoom opens what a file goes into, or what is there already. A file for
// which there is no room is forgotten. The caller holds s.mu, which is free
// while the disk is at work.
func (s *session) makeRoom(in *incoming) error {
	s.mu.Unlock()
	there := true
	part, err := s.root.Open(in.file.Name)
	switch {
	case err == nil:
		err = same(part, in.file)
	case errors.Is(err, fs.ErrNotExist):
		there = false
		part, err = s.reserve(in.file)
	}
	s.mu.Lock()
	if err != nil {
		delete(s.files, in.file.ID)
		delete(s.names, in.file.Name)
		s.underWay--
		return explain("take "+in.file.Name, err)
	}
	in.part, in.there, in.state = part, there, receiving
	if there {
		in.state = verifying
	}
	return nil
}

// same checks that a file that is there already may be the announced one, and
// closes it if not.
func same(part *os.File, f File) error {
	info, err := part.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() != f.Size) {
		err = errDifferent
	}
	if err != nil {
		part.Close()
	}
	return err
}

var errDifferent = errors.New("something else of this name is there already")

// reserve makes NAME.part with all the room it will need: a disk that is too
// small is found before anything travels.
func (s *session) reserve(f File) (*os.File, error) {
	if err := s.root.MkdirAll(path.Dir(f.Name), 0o755); err != nil {
		return nil, err
	}
	part, err := s.root.OpenFile(f.Name+partSuffix, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o644)
	if err != nil || f.Size == 0 {
		return part, err
	}
	if err := run.Grow(part, f.Size); err != nil {
		part.Close()
		s.root.Remove(f.Name + partSuffix)
		return nil, err
	}
	return part, nil
}

// explain adds to an error what to do about it.
func explain(what string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%s: the master's disk is full; free space there or keep runs on another disk: %w", what, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: the master may not write into its run directory: %w", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// verify reads back what is on the disk and makes it durable under its name if
// it is what was announced. It runs beside everything else.
func (r *Receiver) verify(s *session, in *incoming) {
	select {
	case r.hashing <- true:
		defer func() { <-r.hashing }()
	case <-r.life.Done():
		return
	}
	sum, err := hash(r.life, in.part, in.file.Size)
	if r.life.Err() != nil {
		return
	}
	equal := err == nil && sum == in.file.SHA256
	if equal {
		err = s.keepFile(in)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		s.refuse(in, explain("keep "+in.file.Name, err))
	case equal:
		in.state = verified
		s.underWay--
	case in.there:
		s.refuse(in, fmt.Errorf("take %s: %w", in.file.Name, errDifferent))
	default:
		in.attempts++
		in.damaged++
		r.log.Warn("hash of a file differs", "node", s.node, "file", in.file.Name, "announced", in.file.SHA256.String(), "received", sum.String(), "attempt", in.attempts)
		if in.got, in.state = nil, receiving; in.attempts == maxAttempts {
			s.refuse(in, fmt.Errorf("take %s: its SHA-256 is not the announced one, %d times; check the file and the memory of the sending PC", in.file.Name, maxAttempts))
		}
	}
	r.reportProgress(s, in)
}

// hash returns the SHA-256 of the first size bytes of f.
func hash(ctx context.Context, f *os.File, size int64) (Digest, error) {
	h := sha256.New()
	from := io.NewSectionReader(f, 0, size)
	for read := int64(0); read < size; {
		if err := ctx.Err(); err != nil {
			return Digest{}, err
		}
		n, err := io.CopyN(h, from, min(hashStep, size-read))
		if err != nil {
			return Digest{}, err
		}
		read += n
	}
	return Digest(h.Sum(nil)), nil
}

// keepFile makes a verified file durable and gives it its name.
func (s *session) keepFile(in *incoming) error {
	if err := in.part.Sync(); err != nil {
		return err
	}
	if err := in.part.Close(); err != nil {
		return err
	}
	if !in.there {
		if err := s.root.Rename(in.file.Name+partSuffix, in.file.Name); err != nil {
			return err
		}
	}
	folder, err := s.root.Open(path.Dir(in.file.Name))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// refuse gives a file up for good. The caller holds s.mu.
func (s *session) refuse(in *incoming, why error) {
	if in.state == refused {
		return
	}
	in.state, in.why, in.got = refused, why.Error(), nil
	s.underWay--
	in.part.Close()
	if !in.there {
		s.root.Remove(in.file.Name + partSuffix)
	}
}

func (in *incoming) answer(taken uint64) Answer {
	a := Answer{Verified: in.state == verified, Refused: in.why, Taken: taken}
	if in.state == receiving {
		a.Missing = in.got.missing(in.file.Size)
	}
	return a
}

// reportProgress reports how far a file is, when that is news. The caller holds s.mu.
func (r *Receiver) reportProgress(s *session, in *incoming) {
	p := Progress{Node: s.node, File: in.file.Name, Done: in.got.bytes(), Size: in.file.Size,
		Verified: in.state == verified, Refused: in.why, Damaged: in.damaged}
	if in.there || p.Verified {
		p.Done = p.Size
	}
	before := in.told
	before.Done = p.Done
	if p == before && p.Done-in.told.Done < progressStep && (p.Done < p.Size || in.told.Done == p.Done) {
		return
	}
	in.told = p
	r.progress.report(r.life, p)
}

func (s *session) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.files {
		if in.state != reserving {
			in.part.Close()
		}
	}
	if s.root != nil {
		s.root.Close()
	}
}
