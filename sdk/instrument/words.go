package instrument

import (
	"context"
	"strconv"
	"strings"
	"time"

	"tsrun/sdk"
)

// Quote shows a device's words in a message: in quotes, in ASCII, cut to a
// readable length.
func Quote(text string) string {
	const longest = 200
	if len(text) > longest {
		return strconv.QuoteToASCII(text[:longest]) + "…"
	}
	return strconv.QuoteToASCII(text)
}

// Clip cuts a device's words that are kept to at most longest bytes, and leaves
// nothing in them that JSON would write longer: a report must stay what can be
// sent.
func Clip(text string, longest int) string {
	if len(text) > longest {
		text = text[:longest] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(`"\<>&`, r) {
			return '?'
		}
		return r
	}, text)
}

// Mistake is a mistake in a driver's configuration. Field is a key of it, or of
// a channel: see [sdk.DriverChecker].
func Mistake(field, message, hint string) *sdk.Failure {
	return &sdk.Failure{Code: "bad-config", Field: field, Message: message, Hint: hint}
}

// Pause waits for d and reports whether ctx was still good then.
func Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
