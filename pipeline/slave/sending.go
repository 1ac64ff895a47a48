package slave

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"tsrun/pipeline/event"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// startSender starts the transfer of closed files, which goes on while the
// acquisition does.
func (s *session) startSender(group *errgroup.Group, ctx context.Context) {
	questions := wire.NewStatusClient(s.address.status)
	s.sender = transfer.NewSender(transfer.SenderOptions{
		Addr:  s.address.files,
		Token: s.token,
		Chunk: int(s.recipe.Transfer.Chunk),
		Ask: func(ctx context.Context, f transfer.File) (transfer.Answer, error) {
			return s.askFile(ctx, questions, f)
		},
		Log: s.log,
		Arrived: func(f transfer.File) {
			s.observe(event.FileVerified{Node: s.node.Name, File: f.Name, Size: f.Size})
		},
	})
	group.Go(func() error {
		defer questions.Close()
		s.sent <- s.sender.Run(ctx)
		return nil
	})
}

func (s *session) askFile(ctx context.Context, c *wire.StatusClient, f transfer.File) (transfer.Answer, error) {
	question, err := json.Marshal(f)
	if err != nil {
		return transfer.Answer{}, fmt.Errorf("encode question about %s: %w", f.Name, err)
	}
	reply, err := ask(ctx, c, wire.Request{Node: s.node.Name, Token: hex.EncodeToString(s.token[:]), File: question})
	if err != nil {
		return transfer.Answer{}, err
	}
	if reply.Refused != nil {
		return transfer.Answer{}, reply.Refused
	}
	var a transfer.Answer
	if err := json.Unmarshal(reply.File, &a); err != nil {
		return transfer.Answer{}, fmt.Errorf("decode the master's answer about %s: %w", f.Name, err)
	}
	return a, nil
}

// reachWithin is how long the files port is tried before nothing is recorded
// that could not be sent.
const reachWithin = 10 * time.Second

// reachFiles makes sure that files will have a way to the master.
func (s *session) reachFiles(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, reachWithin)
	defer cancel()
	err := s.sender.Reach(within)
	if err == nil || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &sdk.Failure{Code: "files-port", Message: fmt.Sprintf("the master's files port cannot be reached: %v", err),
		Hint: "let the firewalls between pass TCP to " + s.address.files}
}

// awaitSent waits until the sender is done and the master has all news. unsent
// says which files the master does not take, gone why there is no point in
// waiting.
func (s *session) awaitSent(ctx context.Context) (unsent, gone error) {
	sent := s.sent
	for {
		if sent == nil && s.reporter.toldAll() {
			return unsent, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case unsent = <-sent:
			sent = nil
		case <-s.orders.shut:
			return nil, s.orders.closedBy()
		case o := <-s.orders.ch:
			s.reporter.carriedOut(o.Seq)
			if o.Kind == wire.Abort || o.Kind == wire.Release {
				return nil, errAborted
			}
		case <-time.After(heartbeat):
			if s.reporter.silence() > masterPatience {
				return nil, &sdk.Failure{Code: "master-gone",
					Message: fmt.Sprintf("the master has not answered for %v; not everything is with it", masterPatience),
					Hint:    "the recorded files are in " + s.dir}
			}
		}
	}
}

// removeSource deletes what the master has proven to have. Anything else that
// stands beside it, such as the unfinished file of a sink whose disk was full,
// is for a person to judge.
func (s *session) removeSource() {
	if s.recipe.Transfer.KeepSource == "always" {
		s.log.Info("recorded files kept", "dir", s.dir)
		return
	}
	for _, path := range s.queued {
		if err := os.Remove(path); err != nil {
			s.log.Warn("recorded file could not be removed", "file", path, "error", err)
		}
	}
	var dirs []string
	_ = filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error { // what it cannot see stays
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	for _, dir := range slices.Backward(dirs) {
		_ = os.Remove(dir) // those that are not empty stay
	}
	if _, err := os.Stat(s.dir); err == nil {
		s.log.Warn("unfinished files are left", "dir", s.dir)
	}
}
