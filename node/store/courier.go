package store

// schemaCourier is envelopes held for others and by others.
const schemaCourier = ``
