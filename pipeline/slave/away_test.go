package slave

import (
	"errors"
	"strings"
	"testing"

	"tsrun/sdk"
)

// TestPlaceIsSaidOnce: where recorded files are is said, and once, whatever the error
// was made of.
func TestPlaceIsSaidOnce(t *testing.T) {
	const where = "the recorded files are in runs/x-bob"
	gone := &sdk.Failure{Message: "the master has not answered", Hint: where}
	for _, err := range []error{gone, errors.Join(gone, errors.New("and more")), errors.New("something else"), &sdk.Failure{Message: "x", Hint: "another"}} {
		if said := (&keptError{err, where}).Error(); strings.Count(said, where) != 1 {
			t.Errorf("%v: %s", err, said)
		}
	}
}
