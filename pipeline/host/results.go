package host

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	"tsrun/pipeline/confine"
	"tsrun/pipeline/fact"
	"tsrun/sdk"
)

// maxFilesAnswer is how long a plugin may say what it wrote of results, in bytes.
const maxFilesAnswer = 1 << 20

// WriteResults runs the program of a sink once, as `PLUGIN results`: it reads what
// stages found from request and writes it into dir, where it may write alone, as far as
// the kernel can confine it, which is told. It and what it has started end within ctx.
// What it says is not looked at.
func (c Component) WriteResults(ctx context.Context, dir string, config json.RawMessage, request io.Reader) (a sdk.ResultsAnswer, confined fact.Confinement, err error) {
	cmd := command(c.Path, "results")
	cmd.Dir = dir
	answer, err := ask(ctx, cmd, request, maxFilesAnswer, func() {
		outcome := confine.Outcome{Why: cmp.Or(c.needs().Unconfined, confine.Privileged(c.Path))}
		if outcome.Why == "" {
			outcome = confine.Thread(c.resultsRules(dir, config), filepath.Join(filepath.Dir(dir), ".trial"), filepath.Join(dir, ".trial"))
		}
		confined = fact.Confinement{Confined: outcome.Confined, Unconfined: outcome.Why}
	})
	if err != nil {
		return a, confined, err
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return a, confined, fmt.Errorf("its answer cannot be read: %w", err)
	}
	if a.Version != sdk.ResultsVersion {
		return a, confined, fmt.Errorf("its answer is of version %d, this tsrun knows %d", a.Version, sdk.ResultsVersion)
	}
	return a, confined, nil
}

// resultsRules are the rights of a sink that writes results.
func (c Component) resultsRules(dir string, config json.RawMessage) confine.Rules {
	own := confinement{rules: c.rules("sink", dir)}
	for _, path := range pathsIn(config) {
		own.allow(path, "sink")
	}
	return own.rules
}
