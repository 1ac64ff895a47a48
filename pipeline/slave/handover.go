package slave

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"tsrun/pipeline/event"
	"tsrun/pipeline/run"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/wire"
	"tsrun/sdk/instrument"
)

// handOver sends a master that collects what this node has recorded by itself with the
// master's recipe, one recording after another, and says what it does not get.
func (j *joiner) handOver(ctx context.Context, w *wire.Welcome) error {
	token, ok := wire.ParseID(w.Token)
	if !ok {
		return errors.New("read the master's welcome: the token is not 32 hexadecimal digits")
	}
	ctx, stop := j.untilInterrupted(ctx)
	defer stop()
	h := handover{joiner: j, welcome: w, token: token, status: wire.NewStatusClient(j.options.Master, j.options.Security)}
	defer h.status.Close()
	over := wire.Recording{Over: true}
	for _, q := range run.WaitingIn(j.options.Data, j.options.Node) {
		why := h.withheld(q)
		if why == "" {
			var err error
			if why, err = h.give(ctx, q); err != nil {
				return fmt.Errorf("hand over %s: %w", q.Path, err)
			}
		}
		if why == "" {
			continue
		}
		j.observe(event.Warning{Node: j.options.Node, Message: fmt.Sprintf("%s stays here: %s", q.Path, why)})
		if len(over.Withheld) < wire.MaxWithheld {
			over.Withheld = append(over.Withheld, wire.Withheld{Name: filepath.Base(q.Path), Why: why})
		}
	}
	if _, err := h.ask(ctx, over); ctx.Err() != nil {
		return context.Cause(ctx)
	} else if err != nil { // the master has proven all the same what it said that it has
		j.options.Log.Warn("nothing was heard of the master when it was told that this is all", "node", j.options.Node, "error", err)
	}
	return nil
}

// handover is a session with a master that collects.
type handover struct {
	*joiner
	welcome *wire.Welcome
	token   [16]byte
	status  *wire.StatusClient
}

// withheld says why the master does not get a recording; "": it does. It gets none
// that was not made with its recipe: it must show that it has that.
func (h *handover) withheld(q run.Waiting) string {
	local, c := q.Manifest.Local, h.welcome.Collect
	unlike := c.UnlikeSeals(local.Marks, h.options.Node, h.instance, h.welcome.Token)
	switch {
	case len(unlike) == 0:
		return ""
	case local.Recipe != plain(c.Recipe):
		return fmt.Sprintf("it was recorded with recipe %s, and the master collects what was with %.64s", local.Recipe, plain(c.Recipe))
	}
	return fmt.Sprintf("the master's recipe %s is not the one it was recorded with: what differs is %.300s; collect with that recipe and its --set",
		local.Recipe, plain(strings.Join(unlike, ", ")))
}

// give sends one recording. why says that the master does not take it.
func (h *handover) give(ctx context.Context, q run.Waiting) (why string, err error) {
	said := wire.Recording{Run: q.Manifest.Run, Name: filepath.Base(q.Path)}
	answer, err := h.ask(ctx, said)
	if err != nil {
		return "", err
	}
	if !answer.Taken && answer.Refused == "" {
		token, ok := wire.ParseID(answer.Token)
		if !ok {
			return "", errors.New("the master's answer has no token")
		}
		h.observe(event.Warning{Node: h.options.Node, Message: "the master collects " + q.Path})
		if err := h.sendAll(ctx, q, token); ctx.Err() != nil {
			return "", context.Cause(ctx)
		} else if err != nil {
			return "it could not be sent: " + err.Error(), nil
		}
		said.Sent = true
	}
	for said.Sent && !answer.Taken && answer.Refused == "" {
		if answer, err = h.ask(ctx, said); err != nil {
			return "", err
		}
		if answer.Proving && !instrument.Pause(ctx, heartbeat) {
			return "", context.Cause(ctx)
		}
	}
	if answer.Refused != "" {
		return plain(answer.Refused), nil
	}
	if err := q.KeepCollected(h.options.Master, h.drops(q)); err != nil {
		return "", err
	}
	h.observe(event.Warning{Node: h.options.Node, Message: "the master has all of " + q.Path + ", and has proven it"})
	return "", nil
}

// drops reports whether the files of a recording that a master has are to be deleted:
// transfer.keep_source, as of those of a run.
func (h *handover) drops(q run.Waiting) bool {
	_, r, err := run.ReadRun(q.Path)
	return err == nil && r.Transfer.KeepSource != "always"
}

func (h *handover) ask(ctx context.Context, said wire.Recording) (wire.RecordingAnswer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, leastStill, fmt.Errorf("the master has not answered for %v", leastStill))
	defer cancel()
	reply, err := ask(ctx, h.status, wire.Request{Node: h.options.Node, Token: hex.EncodeToString(h.token[:]), Recording: &said})
	switch {
	case err != nil:
		return wire.RecordingAnswer{}, err
	case reply.Refused != nil:
		return wire.RecordingAnswer{}, reply.Refused
	case reply.Recording == nil:
		return wire.RecordingAnswer{}, errors.New("the master's answer says nothing of the recording")
	}
	return *reply.Recording, nil
}

// sendAll sends every file of a recording.
func (h *handover) sendAll(ctx context.Context, q run.Waiting, token [16]byte) error {
	list, err := run.SealedFiles(q.Path)
	if err != nil {
		return err
	}
	questions := wire.NewStatusClient(h.options.Master, h.options.Security)
	defer questions.Close()
	sender := transfer.NewSender(transfer.SenderOptions{Addr: h.addresses(h.welcome).files, Token: token, Security: h.options.Security, Patience: leastStill, Log: h.options.Log,
		Ask: func(ctx context.Context, f transfer.File) (transfer.Answer, error) {
			return askFile(ctx, questions, h.options.Node, token, f)
		}})
	for n, f := range list {
		file := transfer.File{ID: uint32(n + 1), Name: run.RawDir + "/" + h.options.Node + "/" + f.Name, Path: filepath.Join(q.Path, filepath.FromSlash(f.Name)), Size: f.Size}
		if err := file.SHA256.UnmarshalText([]byte(f.SHA256)); err != nil {
			return err
		}
		sender.Queue(file)
	}
	sender.Finish()
	return sender.Run(ctx)
}
