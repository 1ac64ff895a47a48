package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// Collect asks a slave for what its node has recorded by itself, by a recipe. Seals
// show that the master has that recipe, without telling it.
type Collect struct {
	Recipe string            `json:"recipe"` // its name
	Seals  map[string]string `json:"seals"`  // of each section's mark, see [Seal]
}

// Recording is one recording that a node has made by itself. A slave offers them one
// after another, and says when it has no more.
type Recording struct {
	Run      string     `json:"run,omitempty"`      // 32 hexadecimal digits; "" with Over
	Name     string     `json:"name,omitempty"`     // of its directory
	Sent     bool       `json:"sent,omitempty"`     // all its files are with the master, which is to prove them as one
	Over     bool       `json:"over,omitempty"`     // there is no other
	Withheld []Withheld `json:"withheld,omitempty"` // with Over: recordings that this master does not get
}

// RecordingAnswer is what a master that collects answers about a recording.
type RecordingAnswer struct {
	Token   string `json:"token,omitempty"`   // of the session in which its files travel
	Taken   bool   `json:"taken,omitempty"`   // it is here and proven
	Proving bool   `json:"proving,omitempty"` // it is being proven; ask again
	Refused string `json:"refused,omitempty"` // it is not taken, and why
}

// Withheld is a recording that a slave does not give to a master, and why.
type Withheld struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// MaxWithheld is how many of them a master is told.
const MaxWithheld = 16

// Seal returns what only one who knows the mark of a recipe's section can say to a
// process of a slave in a session. It does not tell the mark.
func Seal(mark, section, node, instance, token string) string {
	h := hmac.New(sha256.New, []byte(mark))
	fmt.Fprintf(h, "collect\x00%s\x00%s\x00%s\x00%s", section, node, instance, token)
	return hex.EncodeToString(h.Sum(nil))
}

// UnlikeSeals names the sections of a recording's recipe that the master's recipe does
// not have in the same way; none: it has the same recipe.
func (c *Collect) UnlikeSeals(marks map[string]string, node, instance, token string) (sections []string) {
	if len(marks) == 0 { // no recipe is that of a recording without any
		return []string{"all of it"}
	}
	for section, mark := range marks {
		if !hmac.Equal([]byte(c.Seals[section]), []byte(Seal(mark, section, node, instance, token))) {
			sections = append(sections, section)
		}
	}
	for section := range c.Seals {
		if _, known := marks[section]; !known {
			sections = append(sections, section)
		}
	}
	slices.Sort(sections)
	return sections
}
