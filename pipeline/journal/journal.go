// Package journal keeps what must outlive a process: records of bytes, appended to
// one file, in order.
//
//	Append ─▶ queue ─▶ writer: one write for all that wait ─▶ file ─▶ fsync, in groups
//
// Append never waits for the disk. A record that is written outlives the process,
// however that ends; one that is flushed outlives a loss of power, too. Nothing is
// flushed between Hold and Release.
//
// What the disk does not take is tried again, in order, until it does: a journal that
// could not be written for a while is whole afterwards.
//
// A file that was cut anywhere, or in which bytes were changed, gives the records
// before that place: an earlier state, never a wrong one.
package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// flushEvery is the time between two flushes to the disk, each for all records
// since the one before.
const flushEvery = 500 * time.Millisecond

// MaxQueued is how much waits at most for a disk that takes nothing, in bytes.
const MaxQueued = 32 << 20

// Journal is an open file of records. Its methods may be called by several goroutines.
type Journal struct {
	file *os.File
	done chan struct{} // closed when the writer has ended
	wake chan struct{} // holds at most one value

	mu       sync.Mutex
	changed  *sync.Cond
	queue    []byte // records that are not written yet, beside those that the writer has
	taken    int    // bytes that the writer has
	last     uint64 // number of the newest record
	written  uint64 // number of the newest one that is in the file
	held     int
	closing  bool
	err      error // why the newest records are not written
	ended    bool  // nothing is written any more
	flushing sync.WaitGroup

	flusher   chan struct{} // holds a value while a flush is under way
	flushedAt time.Time     // when the last one began; the writer's
	size      int64         // bytes of the file that are whole records; the writer's
}

// ErrLocked says that another process has a journal open.
var ErrLocked = errors.New("another process has it open")

// Create makes a new file. A process that has it open keeps others from it.
func Create(path string) (*Journal, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make journal: %w", err)
	}
	if err = lock(file); err == nil {
		_, err = file.WriteString(magic)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make journal %s: %w", path, err), file.Close(), os.Remove(path))
	}
	return start(file, 0, int64(len(magic))), nil
}

// Open opens a file to append to it, after apply was given each record that is whole.
// What follows the first damaged one is cut off. An error of apply ends it.
func Open(path string, apply func(record []byte) error) (*Journal, error) {
	file, err := openLocked(path)
	if err != nil {
		return nil, fmt.Errorf("open journal %s: %w", path, err)
	}
	number, size, err := Replay(file, apply)
	if err == nil {
		err = file.Truncate(size)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open journal %s: %w", path, err), file.Close())
	}
	return start(file, number, size), nil
}

// Read gives apply each record of a file that is whole, and changes nothing. The
// file may be another process's.
func Read(path string, apply func(record []byte) error) error {
	file, err := openRegular(path, os.O_RDONLY)
	if err != nil {
		return fmt.Errorf("read journal %s: %w", path, err)
	}
	defer file.Close()
	if _, _, err := Replay(file, apply); err != nil {
		return fmt.Errorf("read journal %s: %w", path, err)
	}
	return nil
}

// Locked reports whether another process has a journal open.
func Locked(path string) bool {
	file, err := openLocked(path)
	if err == nil {
		file.Close()
	}
	return errors.Is(err, ErrLocked)
}

// openLocked opens a file that no other process has open.
func openLocked(path string) (*os.File, error) {
	file, err := openRegular(path, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	if err := lock(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// openRegular opens a regular file: a pipe would wait for ever.
func openRegular(path string, flag int) (*os.File, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	return os.OpenFile(path, flag, 0)
}

func start(file *os.File, number uint64, size int64) *Journal {
	j := &Journal{file: file, last: number, written: number, size: size, done: make(chan struct{}), wake: make(chan struct{}, 1), flusher: make(chan struct{}, 1)}
	j.changed = sync.NewCond(&j.mu)
	go j.write()
	return j
}

// Append queues a record and returns its number, from 1. A record that is too long, or
// for which there is no room in memory while the disk takes nothing, ends the journal;
// Err says so.
func (j *Journal) Append(record []byte) uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last++
	switch {
	case j.ended:
	case len(record) == 0 || len(record) > MaxRecord:
		j.end(fmt.Errorf("a record of %d bytes; it may have from 1 to %d", len(record), MaxRecord))
	case len(j.queue)+j.taken+headSize+len(record) > MaxQueued:
		j.end(fmt.Errorf("more than %d MiB wait for the disk", MaxQueued>>20))
	default:
		j.queue = appendRecord(j.queue, j.last, record)
		j.nudge()
	}
	return j.last
}

// Last returns the number of the newest record.
func (j *Journal) Last() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last
}

// Written reports whether a record outlives this process, or nobody knows when, because
// the disk does not take it.
func (j *Journal) Written(number uint64) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err != nil || j.written >= number
}

// Await waits until a record is written, for so long at most, and reports whether
// it is, as [Journal.Written] does.
func (j *Journal) Await(number uint64, most time.Duration) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	over := false
	if j.err == nil && j.written < number { // the usual case needs no timer
		defer time.AfterFunc(most, func() {
			j.mu.Lock()
			defer j.mu.Unlock()
			over = true
			j.changed.Broadcast()
		}).Stop()
	}
	for j.err == nil && j.written < number && !over {
		j.changed.Wait()
	}
	return j.err != nil || j.written >= number
}

// settleEvery is how often Settle looks.
const settleEvery = 5 * time.Millisecond

// Settle waits until every record until now is flushed, also where the disk takes none
// for a while. The error says why they are not: ctx has ended, or the journal has.
func (j *Journal) Settle(ctx context.Context) error {
	for number := j.Last(); ; {
		j.mu.Lock()
		there, ended, why := j.written >= number, j.ended, j.err
		j.mu.Unlock()
		switch {
		case there && !ended:
			return j.file.Sync()
		case ended:
			return why
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), why)
		case <-time.After(settleEvery):
		}
	}
}

// Err returns why records are not written now; nil: they are.
func (j *Journal) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// Hold keeps the journal from flushing until Release.
func (j *Journal) Hold() { j.hold(1) }

// Release ends a Hold.
func (j *Journal) Release() { j.hold(-1) }

func (j *Journal) hold(n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.held += n
}

// errClosed is the error of a journal that was closed: nobody waits for what comes after.
var errClosed = errors.New("the journal is closed")

// Close writes and flushes what is queued, and returns the first error there was. A
// second call changes nothing.
func (j *Journal) Close() error {
	j.mu.Lock()
	j.closing = true
	j.nudge()
	j.mu.Unlock()
	<-j.done
	if err := j.Err(); !errors.Is(err, errClosed) {
		return err
	}
	return nil
}

func (j *Journal) nudge() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// fail notes why records are not written, and wakes who waits for them. The caller
// holds j.mu.
func (j *Journal) fail(err error) {
	if !j.ended {
		j.err = fmt.Errorf("write journal: %w", err)
	}
	j.changed.Broadcast()
}

// end ends the writing: the records before stay. The caller holds j.mu.
func (j *Journal) end(err error) {
	j.fail(err)
	j.ended, j.queue = true, nil
}

// write is the goroutine that owns the file.
func (j *Journal) write() {
	defer close(j.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	flushed := true
	for {
		select {
		case <-j.wake:
		case <-tick.C:
		}
		wrote, closing, held := j.writeQueue()
		flushed = flushed && !wrote
		switch {
		case closing:
			j.flushing.Wait()
			err := errors.Join(j.file.Sync(), j.file.Close())
			if err == nil {
				err = errClosed
			}
			j.mu.Lock()
			if j.err == nil { // what is not written says more
				j.fail(err)
			}
			j.ended, j.queue = true, nil
			j.mu.Unlock()
			return
		case !flushed && !held:
			flushed = j.flush()
		}
	}
}

// writeQueue writes all that waits. What cannot be written waits on.
func (j *Journal) writeQueue() (wrote, closing, held bool) {
	j.mu.Lock()
	queue, last := j.queue, j.last
	j.queue, j.taken = nil, len(queue)
	closing, held = j.closing, j.held > 0
	j.mu.Unlock()
	if len(queue) == 0 {
		return false, closing, held
	}
	_, err := j.file.WriteAt(queue, j.size) // over what an attempt before this may have left
	j.mu.Lock()
	defer j.mu.Unlock()
	j.taken = 0
	if err != nil {
		if j.fail(err); !j.ended {
			j.queue = append(queue, j.queue...)
		}
		return false, closing, held
	}
	j.size += int64(len(queue))
	if j.written = last; !j.ended {
		j.err = nil
	}
	j.changed.Broadcast()
	return true, closing, held
}
