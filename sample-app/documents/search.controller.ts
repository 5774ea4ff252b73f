import { Controller, Get, Query } from '@nestjs/common';
import { z } from 'zod';
import { Checked } from '../web/checked.pipe.js';
import { ClientGone } from '../web/client-gone.decorator.js';
import { type SearchResult, SearchService } from './search.service.js';

const MAX_QUERY_LENGTH = 1_000;
const limitError = 'expected a whole number from 1 to 20';

const SearchQuery = z.object({
  q: z
    .string({ error: 'expected what to search for, as in /search?q=graceful+shutdown' })
    .max(MAX_QUERY_LENGTH, `expected ${MAX_QUERY_LENGTH} characters at most`)
    .refine((text) => text.trim() !== '', 'expected some words, as in /search?q=graceful+shutdown'),
  limit: z
    .string({ error: limitError })
    .regex(/^\d{1,3}$/u, limitError)
    .transform(Number)
    .refine((limit) => limit >= 1 && limit <= 20, limitError)
    .default(5),
});

@Controller('search')
export class SearchController {
  constructor(private readonly searches: SearchService) {}

  @Get()
  search(
    @Query(new Checked(SearchQuery)) { q, limit }: z.infer<typeof SearchQuery>,
    @ClientGone() gone: AbortSignal,
  ): Promise<SearchResult> {
    return this.searches.search(q, limit, gone);
  }
}
