package slave

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/event"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// startSender starts the transfer of closed files, which goes on while the
// acquisition does.
func (s *session) startSender(group *errgroup.Group, ctx context.Context) {
	s.offeredTo = s.reporter.answeredBy()
	questions := wire.NewStatusClient(s.address.status, s.options.Security)
	s.sender = transfer.NewSender(transfer.SenderOptions{
		Addr:     s.address.files,
		Token:    s.token,
		Security: s.options.Security,
		Chunk:    int(s.recipe.Transfer.Chunk) / transfer.DefaultWindow,
		Streams:  s.recipe.Transfer.Streams,
		Compress: s.recipe.Transfer.Compress == "auto" && s.node.Host != "local", // to this PC itself no link is slow
		Patience: max(s.patience(), leastStill),
		Ask: func(ctx context.Context, f transfer.File) (transfer.Answer, error) {
			return askFile(ctx, questions, s.node.Name, s.token, f)
		},
		Log: s.log,
		Arrived: func(f transfer.File) {
			s.observe(event.FileVerified{Node: s.node.Name, File: f.Name, Size: f.Size})
		},
	})
	group.Go(func() error {
		defer questions.Close()
		err := s.sender.Run(ctx)
		if how := s.sender.Sent(); how.Bytes > 0 {
			how.Compress = cmp.Or(s.recipe.Transfer.Compress, "none")
			s.reporter.queueNews(wire.News{Sent: &how})
		}
		s.sent <- err
		return nil
	})
}

func askFile(ctx context.Context, c *wire.StatusClient, node string, token [16]byte, f transfer.File) (transfer.Answer, error) {
	question, err := json.Marshal(f)
	if err != nil {
		return transfer.Answer{}, fmt.Errorf("encode question about %s: %w", f.Name, err)
	}
	reply, err := ask(ctx, c, wire.Request{Node: node, Token: hex.EncodeToString(token[:]), File: question})
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

// leastStill is how long files may stand still however short the patience with the
// master is: a chunk may be under way for as long.
const leastStill = time.Minute

// reachWithin bounds the attempts to reach the files port. Without it nothing is
// recorded.
const reachWithin = 20 * time.Second

// reachFiles checks that the master's files port can be reached. A master that does
// not answer anywhere is away, which says nothing of that port.
func (s *session) reachFiles(ctx context.Context) error {
	for {
		within, cancel := context.WithTimeout(ctx, reachWithin)
		err := s.sender.Reach(within)
		cancel()
		if err == nil || ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if silence := s.reporter.silence(); silence >= wire.AwayAfter && silence < s.patience() {
			continue
		}
		return &sdk.Failure{Code: "files-port", Message: fmt.Sprintf("the master's files port cannot be reached: %v", err),
			Hint: "let the firewalls between pass TCP to " + s.address.files}
	}
}

// awaitSent waits until the sender is done and the master has all news, with what kept
// files from being sent. unsent names the files that the master refused, gone is why
// waiting is useless.
func (s *session) awaitSent(ctx context.Context) (unsent, gone error) {
	sent := s.sent
	for {
		if sent == nil && s.reporter.newsSeen() {
			return unsent, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case unsent = <-sent:
			if sent = nil; unsent != nil && s.orders.closedBy() == nil { // or it follows from that
				s.reporter.queueFailure(notSent(unsent))
			}
		case <-s.orders.shut:
			return nil, s.orders.closedBy()
		case o := <-s.orders.ch:
			s.reporter.acknowledge(o.Seq)
			if o.Kind == wire.Abort || o.Kind == wire.Release {
				return nil, errAborted
			}
		case <-time.After(heartbeat):
			if err := s.leavesBehind(); err != nil {
				return nil, err
			}
			if s.reporter.silence() > s.patience() {
				return nil, &sdk.Failure{Code: "master-gone",
					Message: fmt.Sprintf("the master has not answered for %v; not everything is with it", s.patience()),
					Hint:    s.where()}
			}
		}
	}
}

// notSent gives what kept files from being sent its code, where it has none.
func notSent(err error) error {
	if cause := (*sdk.Failure)(nil); errors.As(err, &cause) {
		return err
	}
	return &sdk.Failure{Code: wire.NotSent, Message: err.Error()}
}

// removeSource deletes the files that the master has verified. Other files, such
// as the unfinished one of a sink whose disk was full, stay.
func (s *session) removeSource() {
	if s.recipe.Transfer.KeepSource == "always" {
		s.removeLedger()
		s.log.Info("recorded files kept", "dir", s.dir)
		return
	}
	for _, f := range s.files {
		if err := os.Remove(f.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.log.Warn("recorded file could not be removed", "file", f.Path, "error", err)
		}
	}
	s.removeLedger()
	var dirs []string
	_ = filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error { // a directory that cannot be read stays
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

// discardUnused removes the directory of a session that has nothing to keep: it never
// had the instant, or the start was called off before anything was recorded. No plugin
// writes there any more. What the master was told of is kept, whatever it is.
func (s *session) discardUnused(err error) {
	if len(s.files) == 0 && (!s.fired || s.calledOff(err)) {
		if err := os.RemoveAll(s.dir); err != nil {
			s.log.Warn("the directory of a run that recorded nothing could not be removed", "dir", s.dir, "error", err)
		}
	}
}

// calledOff reports whether a session that ends with err was given up before it had
// recorded anything.
func (s *session) calledOff(err error) bool { return errors.Is(err, errAborted) && s.recordedNothing() }

// recordedNothing reports whether there is no file of this node but the record of its
// clock, which is of use to nothing.
func (s *session) recordedNothing() bool {
	raw := filepath.Join(s.dir, s.rawDir())
	err := filepath.WalkDir(raw, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == filepath.Join(raw, clock.RecordDir):
			return fs.SkipDir
		case !d.IsDir():
			return fs.ErrExist
		}
		return nil
	})
	return err == nil
}

// errTakenOver: the run has another master than the one that was offered the files.
var errTakenOver = errors.New("the run has another master")

// offerAll waits until the master has what is here, or has refused it, and releases this
// node. A master that has taken the run over meanwhile is offered all of it: the one
// before may have refused what this one takes, and what it proved is proven by a look.
// Each master is offered everything once, so this ends when no more of them come.
func (s *session) offerAll(ctx context.Context, restart func()) (unsent, err error) {
	for {
		s.sender.Finish()
		if unsent, err = s.awaitSent(ctx); err != nil {
			if errors.Is(err, errStopped) {
				s.reporter.queueFailure(err) // or the master would only find the node silent
			}
			return nil, err
		}
		s.reporter.setDone(s.offeredTo)
		if _, err = s.awaitOrder(ctx, wire.Release); !errors.Is(err, errTakenOver) {
			return unsent, err
		}
		s.log.Info("the run has another master, which is offered everything that is here", "files", len(s.files))
		s.reporter.setPhase(wire.Transferring)
		restart()
		for _, f := range s.files {
			s.sender.Queue(f)
		}
	}
}

// deliver sends what is left, waits until the master has everything and is
// released. A session that failed says so and still sends its whole files. restart
// starts another sender.
func (s *session) deliver(ctx context.Context, err error, restart func()) error {
	if cause := context.Cause(ctx); errors.Is(cause, errStopped) {
		err = cause
	}
	if errors.Is(err, errStopped) || err != nil && !errors.Is(err, errAborted) && ctx.Err() == nil {
		s.log.Error("node failed", "error", err)
		s.reporter.queueFailure(err)
	}
	if errors.Is(err, errAborted) || ctx.Err() != nil {
		return err
	}
	if !s.fired { // the master gives the run up
		_, released := s.awaitOrder(ctx, wire.Release)
		return errors.Join(err, released)
	}
	s.reporter.setPhase(wire.Transferring)
	s.observe(event.StateChanged{State: string(wire.Transferring)})
	unsent, gone := s.offerAll(ctx, restart)
	if gone != nil {
		return errors.Join(err, gone)
	}
	if unsent == nil {
		s.removeSource()
	}
	s.observe(event.StateChanged{State: string(wire.Done)})
	return errors.Join(err, unsent)
}
