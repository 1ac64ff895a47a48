package host

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

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
	answer, err := ask(ctx, cmd, request, maxFilesAnswer, func() { confined = c.confineTaker(dir, config) })
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
