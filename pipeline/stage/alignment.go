package stage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"tsrun/pipeline/align"
	"tsrun/pipeline/correlate"
)

// maxAlignmentFile is in bytes: more knots than a year of 10 ms slices would
// not fit a correction either.
const maxAlignmentFile = 256 << 20

// ReadAlignment reads what carries B's times to A's clock from a file of JSON that
// holds an [AlignSummary], as tsrun align and an align stage write it. Where the
// clock wandered or stepped, and the file has the knots of its track, the
// correction follows these. A file that is no alignment is an error that says
// what it is: to take it for one would correct by nothing.
func ReadAlignment(path string) (correlate.Correction, error) {
	text, err := readAlignmentText(path)
	if err != nil {
		return correlate.Correction{}, fmt.Errorf("read alignment: %w", err)
	}
	found, err := alignmentIn(text)
	if err != nil {
		return correlate.Correction{}, fmt.Errorf("read alignment %s: %w", path, err)
	}
	correction, err := correctionOf(found)
	if err != nil {
		return correlate.Correction{}, fmt.Errorf("read alignment %s: %w", path, err)
	}
	return correction, nil
}

// mostPPB is beyond every clock; a line refuses less.
const mostPPB = 1e9

// howToAlign says where a file of an alignment comes from.
const howToAlign = `give the file that "tsrun align A B --out FILE.json" wrote, or the result of an align stage`

// alignmentIn finds the alignment in a text of JSON.
func alignmentIn(text []byte) (align.Alignment, error) {
	var keys map[string]json.RawMessage
	var mismatch *json.UnmarshalTypeError
	switch err := json.Unmarshal(text, &keys); {
	case errors.As(err, &mismatch):
		return align.Alignment{}, fmt.Errorf("it holds a JSON %s where an alignment is an object; %s", mismatch.Value, howToAlign)
	case err != nil:
		return align.Alignment{}, fmt.Errorf("%s; %s", notJSON(text), howToAlign)
	}
	var refused struct {
		Refused bool   `json:"refused"`
		Reason  string `json:"reason"`
	}
	if err := json.Unmarshal(text, &refused); err != nil {
		return align.Alignment{}, err
	}
	if refused.Refused {
		return align.Alignment{}, fmt.Errorf("it is of clocks that were not found (%s), and there is nothing to correct by; %s", refused.Reason, howToAlign)
	}
	if network := keys["network"]; len(network) > 0 && string(network) != "null" {
		return align.Alignment{}, errors.New("it is of the clocks of several nodes; give the file of one of them, which lies beside it as STAGE-NODE.CHANNEL.json")
	}
	text, keys, err := alignmentKeys(keys)
	if err != nil {
		return align.Alignment{}, err
	}
	for _, key := range []string{"offset_ps", "reference_ps", "frequency_ppb", "pairs"} {
		if value, ok := keys[key]; !ok || string(value) == "null" {
			return align.Alignment{}, fmt.Errorf("no alignment is in it: it has no %s; %s", key, howToAlign)
		}
	}
	var found align.Alignment
	if err := json.Unmarshal(text, &found); errors.As(err, &mismatch) {
		return align.Alignment{}, fmt.Errorf("no alignment is in it: its %s is %s, which it cannot be; %s", mismatch.Field, mismatch.Value, howToAlign)
	} else if err != nil {
		return align.Alignment{}, fmt.Errorf("no alignment is in it: %w; %s", err, howToAlign)
	}
	if ppb := float64(found.Frequency); !(math.Abs(ppb) < mostPPB) {
		return align.Alignment{}, fmt.Errorf("no alignment is in it: its frequency_ppb is %.6g, and no clock is that far off; %s", ppb, howToAlign)
	}
	if found.Pairs < 1 {
		return align.Alignment{}, fmt.Errorf("no alignment is in it: it is of %d pairs; %s", found.Pairs, howToAlign)
	}
	return found, nil
}

// alignmentKeys returns the part of an [AlignSummary] that is all that was estimated.
func alignmentKeys(summary map[string]json.RawMessage) (text []byte, keys map[string]json.RawMessage, err error) {
	text = summary["alignment"]
	if len(text) == 0 || string(text) == "null" {
		return nil, nil, fmt.Errorf("no alignment is in it: it has no key alignment%s; %s", resultWith(summary), howToAlign)
	}
	if err := json.Unmarshal(text, &keys); err != nil {
		return nil, nil, fmt.Errorf("the key alignment: %w; %s", err, howToAlign)
	}
	return text, keys, nil
}

// notJSON says what keeps a text from being JSON.
func notJSON(text []byte) string {
	start := bytes.TrimLeft(text, " \t\r\n")
	switch {
	case len(start) == 0:
		return "it is empty"
	case bytes.HasPrefix(start, []byte("\ufeff")):
		return "it begins with a byte order mark, which JSON has not; save it as UTF-8 without one"
	case start[0] != '{' && start[0] != '[':
		return fmt.Sprintf("it is no JSON: it begins with %q", start[:min(len(start), 8)])
	}
	var syntax *json.SyntaxError
	if err := json.Unmarshal(text, new(any)); errors.As(err, &syntax) && syntax.Offset >= int64(len(text)) {
		return fmt.Sprintf("it is JSON that is cut off after %d bytes", len(text))
	} else if syntax != nil {
		return fmt.Sprintf("it is no JSON from byte %d on: %q is out of place", syntax.Offset-1, text[max(0, syntax.Offset-1):min(int64(len(text)), syntax.Offset+7)])
	}
	return "it is no JSON"
}

// resultWith says of what, if not of an alignment, a file with these keys is.
func resultWith(keys map[string]json.RawMessage) string {
	for _, of := range []struct{ key, what string }{
		{"g2", "it is of g2"}, {"g2_at_zero", "it is of g2"}, {"one_to_one", "it is of coincidences"},
		{"step_ps", "it is of a scan"}, {"bin_ps", "it is of a histogram or of rates"}, {"segments", "it is the manifest of a run"},
	} {
		if _, ok := keys[of.key]; ok {
			return ", " + of.what
		}
	}
	return ""
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
		return correlate.Correction{}, errors.New("the clock does not keep to a line, and the file has no knots to follow it by; let tsrun align write it with --out FILE.json")
	}
	return a.Track.Correction()
}
