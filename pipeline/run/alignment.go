package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"tsrun/pipeline/align"
	"tsrun/pipeline/correlate"
)

// maxAlignmentFile is in bytes: more knots than a year of 10 ms slices would
// not fit a correction either.
const maxAlignmentFile = 256 << 20

// ReadAlignment reads what carries B's times to A's clock from a file of JSON:
// what `tsrun align` prints or writes, or the result of an align stage. Where the
// clock wandered or stepped, and the file has the knots of its track, the
// correction follows these.
func ReadAlignment(path string) (correlate.Correction, error) {
	text, err := readAlignmentText(path)
	if err != nil {
		return correlate.Correction{}, fmt.Errorf("read alignment: %w", err)
	}
	var saved struct {
		Refused bool   `json:"refused"`
		Reason  string `json:"reason"`
		align.Alignment
		Stage *align.Alignment `json:"alignment"` // in the result of a stage, all that was estimated
	}
	if err := json.Unmarshal(text, &saved); err != nil {
		return correlate.Correction{}, fmt.Errorf("read alignment %s: %w", path, err)
	}
	if saved.Refused {
		return correlate.Correction{}, fmt.Errorf("read alignment %s: there is none: %s", path, saved.Reason)
	}
	found := saved.Alignment
	if saved.Stage != nil {
		found = *saved.Stage
	}
	if found.Pairs == 0 {
		return correlate.Correction{}, fmt.Errorf("read alignment %s: no alignment is in it; tsrun align --json A B prints one", path)
	}
	correction, err := correctionOf(found)
	if err != nil {
		return correlate.Correction{}, fmt.Errorf("read alignment %s: %w", path, err)
	}
	return correction, nil
}

func readAlignmentText(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxAlignmentFile+1))
	if err == nil && len(text) > maxAlignmentFile {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxAlignmentFile)
	}
	return text, errors.Join(err, f.Close())
}

func correctionOf(a align.Alignment) (correlate.Correction, error) {
	if !a.Wanders {
		return correlate.NewCorrection(a.Line())
	}
	if a.Track == nil || len(a.Track.Knots) == 0 {
		return correlate.Correction{}, errors.New("the clock does not keep to a line, and the file has no knots to follow it by; let tsrun align write it with --out")
	}
	return a.Track.Correction()
}
