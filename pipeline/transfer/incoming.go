package transfer

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"

	"tsrun/pipeline/run"
)

const (
	maxUnderWay = 64 // of one session, each with a file and its ledger open
	maxAttempts = 3  // hashes that differ before a file is refused
)

// session is what one admitted node sends. Its lock is not held while a file is
// opened, written, looked at or made durable: a slow disk delays neither a chunk of
// another file nor an answer.
type session struct {
	node      string
	certified string // the name on the certificate of who may send
	dir       string // the run directory
	clerk     *clerk // of the node's folder
	keep      int64  // bytes of its disk that stay free

	mu       sync.Mutex
	budget   *Budget
	files    map[uint32]*incoming
	names    map[string]bool
	underWay int
}

func newSession(a Admission, keep int64) *session {
	return &session{node: a.Node, certified: cmp.Or(a.Certified, a.Node), dir: a.Dir, clerk: newClerk(a.Dir, a.Node), keep: keep,
		budget: NewBudget(a.Plan), files: map[uint32]*incoming{}, names: map[string]bool{}}
}

// incoming is one file on its way in:
//
//	reserving ─room─▶ checking ─every kept chunk read─▶ receiving ─complete─▶ verifying ─hash equal, durable─▶ verified
//	                     ▲                                                       │
//	                     └──────────────── hash differs ─────────────────────────┤
//	                                                                             └──▶ refused, from anywhere
//
// Chunks are taken while it is checking and receiving.
type incoming struct {
	file   File
	name   string // of file, below the node's folder
	part   *os.File
	ledger *ledger // of part; nil where the file is there
	there  bool    // the file stood under its name before it was announced
	state  state
	why    string // refused

	got  spans // written, or kept from an earlier process and not found wrong
	busy spans // being written now

	looking  bool      // a goroutine reads what is on the disk
	kept     []entry   // chunks that are still to be checked
	doubted  bool      // they are checked because the hash differs, and none was wrong
	sum      hash.Hash // of the first hashed bytes
	hashed   int64
	looked   int64 // bytes read from the disk so far, to check and to hash
	checked  int64 // bytes of them in the check under way
	attempts int   // hashes that differed
	differs  int   // of those, with no chunk that is wrong: the bytes are those that were sent
	damaged  int
	told     Progress
}

type state int

const (
	reserving state = iota
	checking
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
	case s.names[f.Name]:
		return nil, fmt.Errorf("take %s: another file of this name was announced", f.Name)
	case s.underWay >= maxUnderWay:
		return nil, fmt.Errorf("take %s: a node may have %d files under way", f.Name, maxUnderWay)
	}
	if err := s.budget.Take(f.Name, f.Size); err != nil {
		return nil, fmt.Errorf("take %s: it is not in the plan of this run: %w", f.Name, err)
	}
	in := &incoming{file: f, name: strings.TrimPrefix(f.Name, folderOf(s.node)), sum: sha256.New()}
	s.files[f.ID], s.names[f.Name] = in, true
	s.underWay++
	return in, nil
}

// makeRoom opens what a file goes into, or what is there already. A file for
// which there is no room is forgotten. The caller holds s.mu, which is free
// while the disk is at work.
func (s *session) makeRoom(in *incoming) error {
	s.mu.Unlock()
	part, there, err := s.open(in)
	s.mu.Lock()
	if err != nil {
		delete(s.files, in.file.ID)
		delete(s.names, in.file.Name)
		s.budget.Give(in.file.Name, in.file.Size)
		s.underWay--
		return explain("take "+in.file.Name, err)
	}
	in.part, in.there, in.state = part, there, receiving
	switch {
	case there:
		in.state, in.got = verifying, spans{{0, in.file.Size}}
	case len(in.kept) > 0:
		in.state = checking
	}
	for _, e := range in.kept {
		in.got, _ = in.got.add(e.span())
	}
	return nil
}

// open opens the file that is there already, or what a new one goes into.
func (s *session) open(in *incoming) (part *os.File, there bool, err error) {
	err = s.clerk.do(func(root *os.Root) (err error) {
		part, err = root.Open(in.name)
		return err
	})
	switch {
	case err == nil:
		return part, true, same(part, in.file)
	case errors.Is(err, fs.ErrNotExist):
		part, err = s.reserve(in)
	}
	return part, false, err
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

var (
	errDifferent = errors.New("something else of this name is there already")
	errShared    = errors.New("another process is receiving this file just now; wait until it has ended")
)

// reserve opens NAME.part with all the room it will need: a disk that is too
// small is found before anything travels. What an earlier process has received
// of the same file stays, with the ledger that says what that is.
func (s *session) reserve(in *incoming) (*os.File, error) {
	f := in.file
	var part *os.File
	err := s.clerk.do(func(root *os.Root) (err error) {
		if err = root.MkdirAll(path.Dir(in.name), 0o755); err == nil {
			part, err = root.OpenFile(in.name+partSuffix, os.O_CREATE|os.O_RDWR, 0o644)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	err = s.clerk.do(func(root *os.Root) error { return lock(root, part, in.name) })
	if err != nil {
		part.Close()
		return nil, err
	}
	err = s.clerk.do(func(root *os.Root) (err error) {
		in.ledger, in.kept, err = openLedger(root, in.name, f)
		return err
	})
	if err == nil {
		err = cut(part, f.Size)
	}
	if err == nil {
		err = s.checkRoom(part, f.Size)
	}
	if err == nil && f.Size > 0 {
		err = run.Grow(part, f.Size) // of which only what is not there yet takes room
	}
	if err == nil {
		return part, nil
	}
	part.Close()
	in.ledger.close()
	if len(in.kept) == 0 {
		s.removePart(in)
	}
	return nil, err
}

// checkRoom refuses a file for which there is no room but what is to stay free.
// What its part takes already is not needed again.
func (s *session) checkRoom(part *os.File, size int64) error {
	free, err := run.FreeSpace(s.dir)
	if err != nil {
		return err
	}
	taken, err := run.Taken(part)
	if err != nil {
		return err
	}
	if need := max(size-taken, 0); need > 0 && int64(free)-s.keep < need {
		return fmt.Errorf("it needs %d bytes more, %d are free and %d of them stay so: %w", need, free, s.keep, syscall.ENOSPC)
	}
	return nil
}

// lock keeps other receivers out of a part, and makes sure that none has
// finished the file meanwhile.
func lock(root *os.Root, part *os.File, name string) error {
	info, err := part.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errDifferent
	}
	if err := run.Lock(part); err != nil {
		return fmt.Errorf("%w (%w)", errShared, err)
	}
	if _, err := root.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		return errShared
	}
	return nil
}

// cut cuts off what a part has beyond size. What is before that and not in the
// ledger is written over; until then it keeps the room it takes.
func cut(part *os.File, size int64) error {
	info, err := part.Stat()
	if err != nil || info.Size() <= size {
		return err
	}
	return part.Truncate(size)
}

func (s *session) removePart(in *incoming) {
	_ = s.clerk.do(func(root *os.Root) error {
		return errors.Join(root.Remove(in.name+partSuffix), root.Remove(ledgerName(in.name)))
	})
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

// lacks returns the parts of a chunk that are to be written: none where all of
// it is here, or another connection writes to the same place. What is here is
// not written again, so that what was hashed stays what it was.
func (in *incoming) lacks(chunk span) spans {
	for _, o := range in.busy {
		if o.start < chunk.end && chunk.start < o.end {
			return nil
		}
	}
	return in.got.without(chunk)
}

// write writes the gaps of a chunk and enters it in the ledger.
func (in *incoming) write(b []byte, e entry, gaps spans) error {
	for _, g := range gaps {
		if _, err := in.part.WriteAt(b[g.start-e.offset:g.end-e.offset], g.start); err != nil {
			return err
		}
	}
	in.ledger.add(e)
	return nil
}

// written says that the gaps of a chunk were written, or could not be.
func (in *incoming) written(chunk span, gaps spans, ok bool) {
	in.busy = slices.DeleteFunc(in.busy, func(o span) bool { return o == chunk })
	if !ok || in.state != receiving && in.state != checking {
		return
	}
	for _, g := range gaps {
		in.got, _ = in.got.add(g)
	}
}

// keepFile makes a verified file durable and gives it its name.
func (s *session) keepFile(in *incoming) error {
	if err := in.part.Sync(); err != nil {
		return err
	}
	var folder *os.File
	err := s.clerk.do(func(root *os.Root) (err error) {
		if !in.there {
			if err = root.Rename(in.name+partSuffix, in.name); err != nil {
				return err
			}
			_ = root.Remove(ledgerName(in.name)) // one that stays is of no file any more
		}
		folder, err = root.Open(path.Dir(in.name))
		return err
	})
	if err != nil {
		return err
	}
	in.close() // no earlier: its lock keeps others from what is not yet renamed
	defer folder.Close()
	return folder.Sync()
}

// refuse gives a file up for good. The caller holds s.mu.
func (s *session) refuse(in *incoming, why error) {
	if in.state == refused || in.state == verified {
		return
	}
	in.state, in.why, in.got, in.kept = refused, why.Error(), nil, nil
	s.underWay--
	if !in.there {
		s.removePart(in)
	}
	in.close()
}

// close closes what is open of a file. What has arrived stays.
func (in *incoming) close() {
	in.part.Close()
	in.ledger.close()
}

func (in *incoming) answer() Answer {
	a := Answer{Verified: in.state == verified, Refused: in.why, Looked: in.looked, Differs: in.differs, Unpacks: true}
	if in.state == checking || in.state == receiving {
		a.Missing = in.got.missing(in.file.Size)
	}
	return a
}

func (s *session) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.files {
		if in.state != reserving {
			in.close()
		}
	}
	s.clerk.dismiss()
}
