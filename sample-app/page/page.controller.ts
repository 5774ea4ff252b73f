import { readFileSync } from 'node:fs';
import { Controller, Get, Header, StreamableFile } from '@nestjs/common';

/** As seen from this file and from what is compiled of it. */
const PUBLIC = new URL('../../sample-app/public/', import.meta.url);

/** Scripts, styles and data from here only, none of them within the page: what a document says can never run. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
  "base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/** The page, read once. */
@Controller()
export class PageController {
  private readonly html = read('index.html');
  private readonly script = read('page.js');
  private readonly style = read('page.css');
  private readonly icon = read('icon.svg');

  @Get()
  @Header('content-security-policy', POLICY)
  @Header('x-content-type-options', 'nosniff')
  index(): StreamableFile {
    return new StreamableFile(this.html, { type: 'text/html; charset=utf-8' });
  }

  @Get('page.js')
  pageJs(): StreamableFile {
    return new StreamableFile(this.script, { type: 'text/javascript; charset=utf-8' });
  }

  @Get('page.css')
  pageCss(): StreamableFile {
    return new StreamableFile(this.style, { type: 'text/css; charset=utf-8' });
  }

  @Get('icon.svg')
  iconSvg(): StreamableFile {
    return new StreamableFile(this.icon, { type: 'image/svg+xml' });
  }
}

function read(name: string): Buffer {
  return readFileSync(new URL(name, PUBLIC));
}
