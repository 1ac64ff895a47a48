package recipe

// kindsOfStages are those that package stage describes. That package imports this
// one, so the tests outside of this package fetch them.
var kindsOfStages []StageKind

// SetKindsOfStages gives the kinds to the tests.
func SetKindsOfStages(kinds []StageKind) { kindsOfStages = kinds }
