package transfer

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"sync"

	"tsrun/pipeline/run"
	"tsrun/sdk/tag"
)

const (
	lookStep   = 16 << 20  // bytes read from the disk in one turn
	lookBuffer = 256 << 10 // bytes of one read
)

// look has what is on the disk of a file read where that is due: kept chunks are
// checked, and what has arrived from the first byte on is hashed while the rest
// is on its way. It also says that a file is complete, and reports progress. The
// caller holds s.mu.
func (r *Receiver) look(s *session, in *incoming) {
	in.complete()
	r.reportProgress(s, in)
	due := in.state == checking || in.state == verifying || in.state == receiving && in.got.prefix()-in.hashed >= lookStep
	if due && !in.looking && !r.settled.Load() {
		in.looking = true
		r.looks.Add(1)
		r.running.Go(func() { defer r.looks.Done(); r.lookAt(s, in) })
	}
}

var buffers = sync.Pool{New: func() any { return new([lookBuffer]byte) }}

// lookAt reads what is due, in turn with other files, until nothing is.
func (r *Receiver) lookAt(s *session, in *incoming) {
	b := buffers.Get().(*[lookBuffer]byte)
	defer buffers.Put(b)
	for more := true; more && !r.settled.Load(); {
		select {
		case r.hashing <- true:
		case <-r.life.Done():
			return
		}
		more = r.lookOnce(s, in, b[:])
		<-r.hashing
	}
}

// lookOnce reads about lookStep bytes that are due, and reports whether more may be.
func (r *Receiver) lookOnce(s *session, in *incoming, b []byte) (more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(in.got.prefix()-in.hashed, lookStep)
	switch {
	case in.state == checking && len(in.kept) > 0:
		return r.checkKept(s, in, b)
	case in.state == checking:
		r.endCheck(s, in)
		return in.state != refused
	case in.state == verifying && n > 0, in.state == receiving && n >= lookStep:
		return r.hashOn(s, in, b, n)
	case in.state == verifying:
		return r.judge(s, in)
	}
	in.looking = false
	return false
}

// unlocked calls f, which uses the disk, without the lock of s, and refuses the
// file where it fails. It reports whether all is well. The caller holds s.mu.
func (r *Receiver) unlocked(s *session, in *incoming, f func() error) bool {
	s.mu.Unlock()
	err := f()
	s.mu.Lock()
	if r.life.Err() != nil {
		return false
	}
	if err != nil {
		s.refuse(in, explain("read back "+in.file.Name, err))
		r.reportProgress(s, in)
	}
	return in.state != refused
}

// checkKept compares chunks of an earlier process with their checksums. One that
// is wrong is missing again.
func (r *Receiver) checkKept(s *session, in *incoming, b []byte) (more bool) {
	entries := in.kept
	n, bytes := 0, int64(0)
	for n < len(entries) && bytes < lookStep {
		bytes += int64(entries[n].length)
		n++
	}
	var wrong []entry
	ok := r.unlocked(s, in, func() error {
		for _, e := range entries[:n] {
			sum := uint32(0)
			err := eachPiece(r.life, in.part, e.span(), b, func(piece []byte) { sum = crc32.Update(sum, tag.Castagnoli, piece) })
			if err != nil {
				return err
			}
			if sum != e.sum {
				wrong = append(wrong, e)
			}
		}
		return nil
	})
	if !ok {
		return false
	}
	for _, e := range wrong {
		in.damaged++
		in.doubted = false // these explain the hash
		in.got = in.got.remove(e.span())
		in.got = in.got[:min(len(in.got), maxRanges)]
		r.log.Warn("a chunk on the master's disk is not what was written there; it is asked for again", "node", s.node, "file", in.file.Name, "offset", e.offset, "bytes", e.length)
	}
	in.kept = entries[n:]
	in.looked, in.checked = in.looked+bytes, in.checked+bytes
	r.reportProgress(s, in)
	return true
}

// endCheck says what becomes of a file whose kept chunks were checked.
func (r *Receiver) endCheck(s *session, in *incoming) {
	in.state, in.kept, in.checked = receiving, nil, 0
	if in.doubted { // the bytes are those that were sent, and those were wrong
		in.differs++
		in.got = nil
		if err := in.ledger.forget(); err != nil {
			s.refuse(in, explain("keep "+in.file.Name, err))
		}
		if in.differs >= maxAttempts {
			s.refuse(in, fmt.Errorf("take %s: its SHA-256 is not the announced one, %d times; check the file and the memory of the sending PC", in.file.Name, maxAttempts))
		}
	}
	in.doubted = false
	in.complete()
	r.reportProgress(s, in)
}

// complete says that a file is complete, where it is.
func (in *incoming) complete() {
	if in.state == receiving && len(in.busy) == 0 && in.got.bytes() == in.file.Size {
		in.state = verifying
	}
}

// hashOn hashes the next n bytes of a file, while the disk begins to write them.
func (r *Receiver) hashOn(s *session, in *incoming, b []byte, n int64) (more bool) {
	from := in.hashed
	ok := r.unlocked(s, in, func() error {
		run.WriteBack(in.part, from, n)
		return eachPiece(r.life, in.part, span{from, from + n}, b, func(piece []byte) { in.sum.Write(piece) })
	})
	if !ok {
		return false
	}
	in.hashed, in.looked = from+n, in.looked+n
	r.reportProgress(s, in)
	return true
}

// judge compares the hash of a file with the announced one, keeps the file, or
// doubts every chunk of it.
func (r *Receiver) judge(s *session, in *incoming) (more bool) {
	sum := Digest(in.sum.Sum(nil))
	if sum == in.file.SHA256 {
		if r.unlocked(s, in, func() error { return s.keepFile(in) }) {
			in.state = verified
			s.underWay--
			r.reportProgress(s, in)
		}
		return false
	}
	if in.there {
		s.refuse(in, fmt.Errorf("take %s: %w", in.file.Name, errDifferent))
		r.reportProgress(s, in)
		return false
	}
	in.attempts++
	in.damaged++
	r.log.Warn("hash of a file differs", "node", s.node, "file", in.file.Name, "announced", in.file.SHA256.String(), "received", sum.String(), "attempt", in.attempts)
	in.sum.Reset()
	in.hashed = 0
	if in.attempts >= maxAttempts*maxAttempts {
		s.refuse(in, errors.New("keep "+in.file.Name+": the master's disk or memory does not keep what is written; check both"))
		r.reportProgress(s, in)
		return false
	}
	var kept []entry
	ok := r.unlocked(s, in, func() (err error) {
		kept, err = in.ledger.read()
		return err
	})
	in.kept, in.doubted, in.state = kept, true, checking
	return ok
}

// eachPiece reads a part of a file into b, again and again, until ctx ends.
func eachPiece(ctx context.Context, f *os.File, part span, b []byte, use func(piece []byte)) error {
	for at := part.start; at < part.end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(int64(len(b)), part.end-at)
		if _, err := f.ReadAt(b[:n], at); err != nil {
			return err
		}
		use(b[:n])
		at += n
	}
	return nil
}
