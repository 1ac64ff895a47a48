package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tsrun/sdk"
	"tsrun/sdk/following"
)

// follower reads the stream of one node.
type follower struct {
	flags *followFlags
	out   *following.Printer
	node  string
	of    map[string]*followed // by channel
	ended int
	tags  []uint64
	text  []byte
}

// followed is one channel.
type followed struct {
	following.Total
	next place
	file *rewritten // nil between segments, and where none are written
}

// followNode reads the stream of a node until each of its channels has ended. All are
// read, whichever are asked for: only the ends say how many there are.
func (f *followFlags) followNode(ctx context.Context, js jetstream.JetStream, node string, out *following.Printer) ([]following.Total, error) {
	w := &follower{flags: f, out: out, node: node, of: map[string]*followed{}}
	defer w.abandon()
	err := w.read(ctx, js)
	var totals []following.Total
	for name, c := range w.of {
		if w.wants(name) {
			totals = append(totals, c.Total)
		}
	}
	return totals, err
}

func (w *follower) wants(channel string) bool {
	return w.flags.Wants(w.node, channel)
}

func (w *follower) read(ctx context.Context, js jetstream.JetStream) error {
	parts := []string{w.flags.prefix, w.flags.run, w.node}
	name, before := strings.Join(parts, "_"), strings.Join(parts, ".")+"."
	asking, cancel := context.WithTimeout(ctx, askedWithin)
	defer cancel()
	consumer, err := js.OrderedConsumer(asking, name, jetstream.OrderedConsumerConfig{FilterSubjects: []string{before + "*"}})
	if err != nil {
		return fmt.Errorf("read the stream %s: %w", name, err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(64))
	if err != nil {
		return fmt.Errorf("read the stream %s: %w", name, err)
	}
	defer messages.Stop()
	for {
		late, cancel := context.WithTimeout(ctx, w.flags.Wait)
		m, err := messages.Next(jetstream.NextContext(late))
		cancel()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && errors.Is(late.Err(), context.DeadlineExceeded):
			return &sdk.Failure{Code: "follow-silent", Message: fmt.Sprintf("nothing has come of %s.%s for %v, and it has not ended", name, w.node, w.flags.Wait),
				Hint: "does the run still record? --wait lets it take longer"}
		case err != nil:
			return fmt.Errorf("read the stream %s: %w", name, err)
		}
		channel := strings.TrimPrefix(m.Subject(), before)
		done, err := w.take(channel, m)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", w.node, clip(channel), err)
		}
		if done {
			return nil
		}
	}
}

// take takes one message, and says whether it was the last of all.
func (w *follower) take(name string, m jetstream.Msg) (done bool, err error) {
	if !token.MatchString(name) {
		return false, errors.New("this is no name of a channel")
	}
	h, err := readHead(m.Headers())
	if err != nil {
		return false, err
	}
	c := w.of[name]
	if c == nil {
		c = &followed{Total: following.Total{Channel: w.node + "." + name}}
		w.of[name] = c
	}
	if c.next.ended || h.block != c.next.block || h.segment != c.next.segment || h.first != c.next.first {
		return false, fmt.Errorf("block %d of segment %d from tag %d on is there, due was block %d of segment %d from tag %d on",
			h.block, h.segment, h.first, c.next.block, c.next.segment, c.next.first)
	}
	if w.wants(name) {
		if w.tags, err = tagsOf(w.tags[:0], h, m.Data()); err == nil {
			err = w.write(c, name, h)
		}
		if err != nil {
			return false, err
		}
	}
	c.next = h.after()
	c.Blocks, c.Tags = c.Blocks+1, c.Tags+h.count
	if h.last != "" {
		c.Segments++
	}
	if w.wants(name) {
		if err := w.print(c, h); err != nil {
			return false, err
		}
	}
	if !c.next.ended {
		return false, nil
	}
	c.Ended = true
	w.ended++
	return w.ended >= h.channels, nil
}

func (w *follower) print(c *followed, h head) error {
	switch {
	case w.flags.Count:
		return nil
	case w.flags.Tags:
		w.text = following.AppendTags(w.text[:0], c.Channel, w.tags)
		return w.out.Write(w.text)
	}
	return w.out.JSON(struct {
		Channel   string    `json:"channel"`
		Block     uint64    `json:"block"`
		Segment   int       `json:"segment"`
		Tags      uint64    `json:"tags"`
		Simulated bool      `json:"simulated"`
		At        time.Time `json:"at"`
	}{c.Channel, h.block, h.segment, h.count, h.simulated, time.Now().UTC()})
}

// write writes the tags of a message into the file of its segment again.
func (w *follower) write(c *followed, name string, h head) (err error) {
	if w.flags.Out == "" || h.segments >= 0 && h.last == "" { // or it only says the end
		return nil
	}
	if c.file == nil {
		if c.file, err = rewrite(w.flags.Out, w.node, name, h); err != nil {
			return err
		}
	}
	if err := c.file.append(w.tags); err != nil || h.last == "" {
		return err
	}
	err = c.file.close(h.last)
	c.file = nil
	return err
}

// abandon removes what is not whole.
func (w *follower) abandon() {
	for _, c := range w.of {
		if c.file != nil {
			c.file.Abandon()
		}
	}
}
