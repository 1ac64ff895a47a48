package slave

import (
	"context"
	"errors"
	"log/slog"
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
