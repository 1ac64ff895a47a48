package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"tsrun/plugins/internal/segments"
	"tsrun/sdk"
	"tsrun/sdk/tagfile"
)

// reportName is the file that says what became of the messages, and what the server
// promises of them.
const reportName = "nats.json"

// sink keeps tags in files, as sink-file does, and has a publisher bring each closed
// file into the stream. The files are what the run keeps: a server that is slow or
// away delays messages and never the recording.
type sink struct {
	sdk.Sink // of files
	config   config
	node     string
	log      *slog.Logger
	record   sdk.Recording
	pub      *publisher // nil until Begin
}

func newSink(c config, node string, log *slog.Logger) *sink {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	files := segments.New(segments.Options{Encoder: func(_ sdk.Recording, s sdk.RecordedStream, _ int) (segments.Encoder, error) {
		return tagfile.NewEncoder(c.Format, int(s.Stream))
	}})
	return &sink{Sink: files, config: c, node: node, log: log}
}

// Begin reaches the server first: what is wrong there is said before anything is
// measured. A process that goes on for one that died does not wait for it.
func (s *sink) Begin(ctx context.Context, r sdk.Recording) error {
	if s.pub != nil {
		return errors.New("begin: this sink is recording already")
	}
	if found := s.config.Check(r); len(found) > 0 {
		return found[0]
	}
	pub := newPublisher(s.config, s.node, r, s.log)
	var first *link
	if !r.Resumed {
		var err error
		if first, err = pub.connect(ctx); err != nil {
			return err
		}
	}
	s.record = r
	closed := r.Closed
	r.Closed = func(a sdk.Artifact) {
		closed(a)
		pub.offer(a)
	}
	if err := s.Sink.Begin(ctx, r); err != nil {
		if first != nil {
			first.close()
		}
		return err
	}
	s.pub = pub
	go pub.run(first)
	return nil
}

// Finish closes the files, and waits until the server has acknowledged all of them.
func (s *sink) Finish(ctx context.Context) error {
	if err := s.Sink.Finish(ctx); err != nil {
		return err
	}
	failed := s.pub.finish(ctx)
	text, err := json.MarshalIndent(s.pub.report(), "", "  ")
	if err == nil && s.record.Resumed { // the process before this one may have left it
		if err = os.Remove(filepath.Join(s.record.Dir, reportName)); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err == nil {
		err = s.record.Publish(sdk.Other, reportName, append(text, '\n'))
	}
	return errors.Join(failed, err)
}

// Close lets go of the server and of the files.
func (s *sink) Close() error {
	if s.pub != nil {
		s.pub.stop()
	}
	return s.Sink.Close()
}
