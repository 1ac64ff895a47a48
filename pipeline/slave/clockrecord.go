package slave

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/run"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// clockRecord is the file that keeps by what the clocks were compared.
type clockRecord struct {
	*clock.Recorder // nil: there is none
	file            *os.File
}

// clockPart is the name of the record until it is whole.
const clockPart = "." + clock.RecordFile + ".part"

// recordClock begins the record of a comparer.
func (s *session) recordClock(comparer *clock.Comparer) error {
	at := filepath.Join(s.dir, s.rawDir(), clock.RecordDir)
	err := os.MkdirAll(at, 0o755)
	if err == nil {
		s.clock.record.file, err = os.Create(filepath.Join(at, clockPart))
	}
	if err != nil {
		return fmt.Errorf("record the clock: %w", err)
	}
	s.clock.record.Recorder = clock.NewRecorder(s.clock.record.file)
	comparer.Record(s.clock.record.Recorder)
	return nil
}

// endClockRecord ends the record, of a run that is thrown away, too.
func (s *session) endClockRecord() error {
	r := &s.clock.record
	if r.file == nil {
		return nil
	}
	err := errors.Join(r.Close(), r.file.Sync(), r.file.Close())
	r.file = nil
	return err
}

// sendClockRecord ends the record and sends it as a file of the run. A record that
// cannot be sent is told, and nothing else suffers.
func (s *session) sendClockRecord(eq *equipment) {
	if s.clock.record.file == nil {
		return
	}
	name := path.Join(filepath.ToSlash(s.rawDir()), clock.RecordDir, clock.RecordFile)
	where := filepath.Join(s.dir, filepath.FromSlash(name))
	err := s.endClockRecord()
	if err == nil {
		err = errors.Join(os.Rename(filepath.Join(filepath.Dir(where), clockPart), where), run.SyncDir(filepath.Dir(where)))
	}
	segment := fact.Segment{Kind: sdk.Other, File: name}
	if err == nil {
		segment.Size, segment.SHA256, err = hashFile(where)
	}
	if err != nil {
		s.log.Warn("the record of the clock was not kept", "error", err)
		return
	}
	eq.mu.Lock()
	number := uint32(len(s.files) + 1)
	file, _ := transfer.FileOf(number, segment) // its SHA-256 was made here
	file.Path = where
	s.files = append(s.files, file)
	eq.mu.Unlock()
	s.reporter.queueNews(wire.News{Segment: &wire.Segment{Number: number, Segment: segment}})
	s.sender.Queue(file)
}

func hashFile(name string) (size int64, sum string, err error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha256.New()
	if size, err = io.Copy(h, f); err != nil {
		return 0, "", err
	}
	return size, hex.EncodeToString(h.Sum(nil)), nil
}
