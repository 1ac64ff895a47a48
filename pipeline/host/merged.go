package host

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"

	"tsrun/pipeline/confine"
	"tsrun/pipeline/fact"
	"tsrun/sdk"
)

// TakeMerged runs the program of a sink once, as `PLUGIN merged`, for the length of a
// run: it hears the merged tags at the socket of the request. It may write into dir alone,
// as far as the kernel can confine it, which is told. It ends within ctx.
func (c Component) TakeMerged(ctx context.Context, dir string, q sdk.MergedRequest) (a sdk.MergedAnswer, confined fact.Confinement, err error) {
	q.Version = sdk.MergedVersion
	request, err := json.Marshal(q)
	if err != nil {
		return a, confined, fmt.Errorf("write request: %w", err)
	}
	cmd := command(c.Path, "merged")
	cmd.Dir = dir
	answer, err := ask(ctx, cmd, bytes.NewReader(request), maxAnswer, func() { confined = c.confineTaker(dir, q.Config) })
	if err != nil {
		return a, confined, err
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return sdk.MergedAnswer{}, confined, fmt.Errorf("its answer cannot be read: %w", err)
	}
	if a.Version != sdk.MergedVersion {
		return sdk.MergedAnswer{}, confined, fmt.Errorf("its answer is of version %d, this tsrun knows %d", a.Version, sdk.MergedVersion)
	}
	a.Where, a.Failed, a.Hint = short(a.Where), cut(a.Failed), cut(a.Hint)
	return a, confined, nil
}

// confineTaker confines the program of a sink that takes results or merged tags, on the
// thread that starts it.
func (c Component) confineTaker(dir string, config json.RawMessage) fact.Confinement {
	outcome := confine.Outcome{Why: cmp.Or(c.needs().Unconfined, confine.Privileged(c.Path))}
	if outcome.Why == "" {
		own := confinement{rules: c.rules("sink", dir)}
		for _, path := range pathsIn(config) {
			own.allow(path, "sink")
		}
		outcome = confine.Thread(own.rules, filepath.Join(filepath.Dir(dir), ".trial"), filepath.Join(dir, ".trial"))
	}
	return fact.Confinement{Confined: outcome.Confined, Unconfined: outcome.Why}
}
