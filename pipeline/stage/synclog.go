package stage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"tsrun/pipeline/event"
)

// SyncFile is the file of every value that the align stages had while the run
// went on: one JSON object a line, a [Sync].
const SyncFile = "sync.jsonl"

// MaxSyncLog is how long sync.jsonl may grow in bytes: at forty values a
// second, in six days.
const MaxSyncLog = 4 << 30

// SyncLog is sync.jsonl while it is written. It belongs to one goroutine. What
// could not be written is only counted: the run goes on, and the stages
// themselves tell at its end.
type SyncLog struct {
	file    *os.File
	limit   int64
	written int64
	leftOut int
	err     error // the first; nothing is written after it
}

// NewSyncLog makes the sync.jsonl of a run directory.
func NewSyncLog(dir string) (*SyncLog, error) {
	file, err := os.OpenFile(filepath.Join(dir, SyncFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", SyncFile, err)
	}
	return &SyncLog{file: file, limit: MaxSyncLog}, nil
}

// Append writes values in one write, so that a killed master leaves whole lines
// but for the last.
func (l *SyncLog) Append(values ...event.Sync) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	for _, v := range values {
		if err := encoder.Encode(v); err != nil {
			return fmt.Errorf("encode line of %s: %w", SyncFile, err)
		}
	}
	if l.err != nil || l.written+int64(text.Len()) > l.limit {
		l.leftOut += len(values)
		return nil
	}
	n, err := l.file.Write(text.Bytes())
	l.written += int64(n)
	if err != nil {
		l.err = fmt.Errorf("write %s: %w", SyncFile, err)
		l.leftOut += len(values)
	}
	return l.err
}

// Close makes the file durable. leftOut is how many values are not in it.
func (l *SyncLog) Close() (leftOut int, err error) {
	return l.leftOut, errors.Join(l.file.Sync(), l.file.Close())
}
