-- Who asked for what the move did last, such as its completion; null where its time was over.
alter table moves add column requested_by text;
-- What a move that has ended leaves: canonical JSON of {document, signature, keyId}. As text, because the signature is of it.
alter table moves add column signed_certificate text;
