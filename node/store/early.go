package store

// schemaEarly is entries that are here before those that they follow.
const schemaEarly = ``
