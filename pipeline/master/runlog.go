package master

import (
	"bytes"
	"fmt"
	"sync"

	"tsrun/pipeline/event"
	"tsrun/pipeline/run"
)

// maxLogQueue bounds the lines that wait for the disk, in bytes.
const maxLogQueue = 8 << 20

// runLog writes the log of the run beside those who have lines for it, and who wait
// for no disk. Lines before there is a log are dropped: nothing has happened yet.
type runLog struct {
	mu      sync.Mutex
	log     *run.Log
	failed  func(error) // called once
	told    bool
	queue   []logLine
	bytes   int
	dropped int
	writing chan struct{} // of the goroutine at work, closed when the queue is empty; nil: there is none
}

type logLine struct {
	node string
	text []byte
}

func (l *runLog) writeTo(log *run.Log, failed func(error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.log, l.failed = log, failed
}

// Write queues a line of the master's own.
func (l *runLog) Write(line []byte) (int, error) {
	l.append("", line)
	return len(line), nil
}

// append queues a line of a node.
func (l *runLog) append(node string, line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.log == nil:
		return
	case l.bytes+len(line) > maxLogQueue:
		l.dropped++
		return
	}
	l.queue = append(l.queue, logLine{node, bytes.Clone(line)})
	l.bytes += len(line)
	if l.writing == nil {
		l.writing = make(chan struct{})
		go l.write() // ends when the queue is empty
	}
}

// write writes what is queued, until nothing is.
func (l *runLog) write() {
	for {
		l.mu.Lock()
		lines, dropped := l.queue, l.dropped
		l.queue, l.bytes, l.dropped = nil, 0, 0
		if len(lines) == 0 && dropped == 0 {
			close(l.writing)
			l.writing = nil
			l.mu.Unlock()
			return
		}
		log := l.log
		l.mu.Unlock()
		for _, line := range lines {
			l.note(log.AppendRemote(line.node, line.text))
		}
		if dropped > 0 {
			l.note(log.AppendRemote("", fmt.Appendf(nil, `{"level":"WARN","msg":"log lines dropped while the disk was slow","lines":%d}`, dropped)))
		}
	}
}

func (l *runLog) note(err error) {
	l.mu.Lock()
	first := err != nil && !l.told
	l.told = l.told || err != nil
	l.mu.Unlock()
	if first {
		l.failed(err)
	}
}

// wait returns when all that was queued before is written.
func (l *runLog) wait() {
	l.mu.Lock()
	writing := l.writing
	l.mu.Unlock()
	if writing != nil {
		<-writing
	}
}

// unlogged tells the user that lines of the log are not kept.
func (c *conductor) unlogged(err error) {
	c.observe(event.Warning{Message: fmt.Sprintf("lines of the log are not kept: %v", err)})
}
