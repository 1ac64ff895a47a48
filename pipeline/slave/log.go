package slave

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"tsrun/pipeline/event"
)

// fanout writes every log line to two places: this node's terminal and, by the
// reporter, the run's log on the master.
type fanout struct{ here, there slog.Handler }

func (f fanout) Enabled(ctx context.Context, l slog.Level) bool {
	return f.here.Enabled(ctx, l) || f.there.Enabled(ctx, l)
}

func (f fanout) Handle(ctx context.Context, r slog.Record) error {
	var errs []error
	for _, h := range []slog.Handler{f.here, f.there} {
		if h.Enabled(ctx, r.Level) {
			errs = append(errs, h.Handle(ctx, r.Clone()))
		}
	}
	return errors.Join(errs...)
}

func (f fanout) WithAttrs(a []slog.Attr) slog.Handler {
	return fanout{f.here.WithAttrs(a), f.there.WithAttrs(a)}
}

func (f fanout) WithGroup(name string) slog.Handler {
	return fanout{f.here.WithGroup(name), f.there.WithGroup(name)}
}

// observerLog shows warnings and errors of the log to the user of this PC.
type observerLog struct {
	observer event.Observer
	node     string
	attrs    string // of WithAttrs, as written after a message
}

// ObserverLog returns a handler that passes warnings and errors to an observer.
func ObserverLog(o event.Observer, node string) slog.Handler {
	return observerLog{observer: o, node: node}
}

func (s observerLog) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

func (s observerLog) Handle(_ context.Context, r slog.Record) error {
	var text strings.Builder
	text.WriteString(r.Message + s.attrs)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&text, ", %s %v", a.Key, a.Value)
		return true
	})
	if r.Level >= slog.LevelError {
		s.observer.Observe(event.Problem{Node: s.node, Message: text.String()})
	} else {
		s.observer.Observe(event.Warning{Node: s.node, Message: text.String()})
	}
	return nil
}

func (s observerLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		s.attrs += fmt.Sprintf(", %s %v", a.Key, a.Value)
	}
	return s
}

func (s observerLog) WithGroup(string) slog.Handler { return s }
