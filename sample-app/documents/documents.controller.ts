import { Body, Controller, HttpStatus, Post } from '@nestjs/common';
import { z } from 'zod';
import { Checked } from '../web/checked.pipe.js';
import { ClientGone } from '../web/client-gone.decorator.js';
import { RequestError } from '../web/request-error.js';
import { DocumentStore } from './document-store.js';
import { splitMarkdown } from './markdown-splitter.js';

const MAX_TITLE_LENGTH = 200;
const MAX_TEXT_BYTES = 1_000_000;

const DocumentBody = z.object(
  {
    title: z
      .string({ error: 'expected the name of the document, a text' })
      .trim()
      .min(1, 'expected the name of the document, not an empty text')
      .max(MAX_TITLE_LENGTH, `expected ${MAX_TITLE_LENGTH} characters at most`)
      .regex(/^\P{Cc}*$/u, 'expected one line, without control characters'),
    text: z
      .string({ error: 'expected the document itself, as Markdown or plain text' })
      .refine((text) => text.trim() !== '', 'expected the document itself, not an empty text'),
  },
  {
    error:
      'expected an object of JSON such as {"title":"Notes","text":"# Monday"}, sent as content-type: application/json',
  },
);

export interface StoredDocument {
  readonly title: string;
  /** How many sections it was cut into; each is found by itself. */
  readonly sections: number;
}

@Controller('documents')
export class DocumentsController {
  constructor(private readonly store: DocumentStore) {}

  /** Adds a document. One of the same title is replaced. */
  @Post()
  async add(
    @Body(new Checked(DocumentBody)) { title, text }: z.infer<typeof DocumentBody>,
    @ClientGone() gone: AbortSignal,
  ): Promise<StoredDocument> {
    if (Buffer.byteLength(text) > MAX_TEXT_BYTES) {
      throw new RequestError(
        HttpStatus.PAYLOAD_TOO_LARGE,
        'text: expected 1 MB at most; cut it into several documents.',
      );
    }
    const sections = splitMarkdown(text, title);
    if (sections.length === 0) {
      throw new RequestError(HttpStatus.BAD_REQUEST, 'text: expected some text, not headings alone.');
    }
    // A prefix, so that nobody can replace what was read from a file.
    await this.store.add(`posted/${title}`, sections, { signal: gone });
    return { title, sections: sections.length };
  }
}
