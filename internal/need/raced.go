//go:build race

package need

// Raced says whether the race detector is at work, with which arithmetic takes ten times
// as long: it looks at who touches what, and not at how often.
const Raced = true
